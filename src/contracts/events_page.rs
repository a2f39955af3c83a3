//! docs/EVENTS.md: the published events, for people.

use std::fmt::Write as _;

use anyhow::Context as _;
use serde_json::Value;

use super::events::{Event, Published, Version};
use super::headers::{self, Header};
use super::words::Words;

const HEAD: &str = "# Events
<!-- Written by `make contracts` from the types in domain/src and the examples in domain/tests/wire. Edit those. -->

Everything that happened in an Oblivious server, in one order. [asyncapi.json](asyncapi.json) says the same to machines
(AsyncAPI 3.0, `oblivious asyncapi` prints it); [SUBSCRIBING.md](SUBSCRIBING.md) shows how to read them and prove that none
was missed.

An event is a message on the JetStream stream `EVENTS`. Its subject is `evt.<capability>.<aggregate>.<event>` and holds no
ids; its headers say where it belongs; its body is JSON: one key, the event, and under it the fields. The stream is a cache
of the log in Postgres and keeps its newest part (1 GiB).

**Order.** `Position` counts all events without holes, save where a new `Epoch` begins, and is the message's sequence in the
stream; the events of one aggregate are in the order of their `Sequence`. A position is never used twice.

**Versions.** What was written once is never rewritten: an old event lies on the stream in its old form, and `Version` says
which. Today's forms are below, with what is still met of older ones. A new field, a changed or a removed one is a new
version. A reader that meets a version which it does not know stops there, rather than guess.

**Money.** Amounts are integers of nano-units (1e-9) of the ledger currency, written as strings; names of such fields end in
`_nanos`.

**Time.** `at` is when it happened, by the clock of the process that decided it; `Recorded-At` when it was committed, by the
database's. Both are UTC, RFC 3339.

## Sealed fields
Personal data is encrypted before it is stored and is not opened on the stream: texts and titles of conversations, e-mail
addresses, user names, password hashes, names of API keys, operators' notes. Such a field is
`{\"$sealed\": {\"subject\", \"key\", \"nonce\", \"data\"}}`: whose data it is, which of that person's keys opens it, and the
ciphertext (AES-256-GCM, bound to aggregate type, id, sequence and path). The keys do not leave the server. When a person's
key is destroyed, the bytes stay as they are and nobody can read them any more. What is open: ids, times, amounts, token
counts, models' names, states.
";

/// The page.
///
/// # Errors
/// A field has no sentence.
pub(super) fn page(published: &Published) -> anyhow::Result<String> {
    let words = Words::of(&published.types);
    let headers = headers::all()?;
    let mut page = HEAD.to_owned();
    whole_example(&mut page, published, &headers)?;
    headers_table(&mut page, &headers)?;
    overview(&mut page, published)?;
    let mut capability = "";
    for aggregate in &published.aggregates {
        if aggregate.capability != capability {
            capability = aggregate.capability;
            write!(page, "\n# {capability}\n")?;
        }
        write!(page, "\n## {}\n{}\n", aggregate.name, aggregate.sentence)?;
        for event in &aggregate.events {
            chapter(&mut page, &words, event)?;
        }
    }
    page.push_str(&words.types()?);
    Ok(page)
}

fn whole_example(page: &mut String, published: &Published, headers: &[Header]) -> anyhow::Result<()> {
    let shown = published.events().find(|(_, event)| event.name == "session.message_sent");
    let (aggregate, event) = shown.context("the event that is shown whole")?;
    let version = newest(event)?;
    write!(page, "\n## One event, whole\n```\n{}\n", event.subject)?;
    let example = headers::example(headers, aggregate, event, version);
    for (name, value) in example.as_object().into_iter().flatten() {
        writeln!(page, "{name}: {}", value.as_str().unwrap_or_default())?;
    }
    write!(page, "\n{}\n```\n", version.example)?;
    Ok(())
}

fn headers_table(page: &mut String, headers: &[Header]) -> std::fmt::Result {
    page.push_str("\n## Headers\n| header | always | what it says |\n|---|---|---|\n");
    for header in headers {
        writeln!(page, "| `{}` | {} | {} |", header.name, if header.required { "yes" } else { "" }, header.meaning)?;
    }
    page.push_str("\nThe server adds its own (`Nats-…`); they mean nothing here.\n");
    Ok(())
}

fn overview(page: &mut String, published: &Published) -> std::fmt::Result {
    page.push_str("\n## All events\n| subject | what happened |\n|---|---|\n");
    for (_, event) in published.events() {
        // As GitHub and others make anchors of headings.
        let anchor = event.name.replace('.', "");
        writeln!(page, "| [`{}`](#{anchor}) | {} |", event.subject, event.sentence)?;
    }
    Ok(())
}

fn chapter(page: &mut String, words: &Words<'_>, event: &Event) -> anyhow::Result<()> {
    let version = newest(event)?;
    write!(page, "\n### {}\n{}\n\n`{}`, version {}\n\n", event.name, event.sentence, event.subject, version.number)?;
    let fields = version.schema.pointer(&format!("/properties/{}", event.key)).context("an event has fields")?;
    page.push_str(&words.table(fields, &event.name)?);
    json(page, &version.example)?;
    for old in event.versions.iter().skip(1) {
        let raised = old.raised.unwrap_or_default();
        write!(page, "\nVersion {}, no longer written: {raised}\n", old.number)?;
        json(page, &old.example)?;
    }
    Ok(())
}

fn newest(event: &Event) -> anyhow::Result<&Version> {
    event.versions.first().with_context(|| format!("`{}` has no version", event.name))
}

fn json(page: &mut String, example: &Value) -> anyhow::Result<()> {
    write!(page, "\n```json\n{}\n```\n", serde_json::to_string_pretty(example)?)?;
    Ok(())
}
