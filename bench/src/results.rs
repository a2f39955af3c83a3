//! Where figures go: to standard output, and into their section of `bench/RESULTS.md`.
//!
//! Promise: a benchmark replaces its own section and nothing else; what the server promises about durability is asked of
//! the server itself and printed with the figures.

use std::{fmt, fs, io::Write as _, path::Path};

use anyhow::{Context as _, bail};
use chrono::Utc;
use sqlx::PgPool;

use crate::Common;

/// The server that everything was measured on.
#[derive(Debug)]
pub(crate) struct Server {
    version: String,
    fsync: String,
    synchronous_commit: String,
    full_page_writes: String,
    data_directory: String,
}

impl Server {
    /// Asks the server what it promises.
    ///
    /// # Errors
    /// It does not answer, or it could lose what it acknowledged and this is no quick look.
    pub(crate) async fn ask(pool: &PgPool, common: Common) -> anyhow::Result<Self> {
        let (version, fsync, synchronous_commit, full_page_writes, data_directory) = sqlx::query_as(
            "SELECT current_setting('server_version'), current_setting('fsync'), current_setting('synchronous_commit'), \
             current_setting('full_page_writes'), current_setting('data_directory')",
        )
        .fetch_one(pool)
        .await?;
        let server = Self { version, fsync, synchronous_commit, full_page_writes, data_directory };
        if !(server.is_durable() || common.quick) {
            bail!("{server}: it could lose what it acknowledged; run `oblivious with-services --durable -- bench …`");
        }
        Ok(server)
    }

    fn is_durable(&self) -> bool {
        [&self.fsync, &self.synchronous_commit, &self.full_page_writes].iter().all(|setting| *setting == "on")
            && self.file_system() != "tmpfs"
    }

    /// Of the data directory, as the kernel names it.
    fn file_system(&self) -> String {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let below = |place: &str| Path::new(&self.data_directory).starts_with(place);
        let fields = mounts.lines().filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            Some((words.next()?, words.next()?))
        });
        let found = fields.filter(|(place, _)| below(place)).max_by_key(|(place, _)| place.len());
        found.map_or_else(|| "an unknown file system".to_owned(), |(_, kind)| kind.to_owned())
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, fsync, synchronous_commit, full_page_writes, .. } = self;
        write!(
            f,
            "Postgres {version} on {} with fsync {fsync}, synchronous_commit {synchronous_commit}, full_page_writes \
             {full_page_writes}",
            self.file_system()
        )
    }
}

/// Processors, memory and how busy the machine was.
pub(crate) fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let models: Vec<&str> =
        cpus.lines().filter(|line| line.starts_with("model name")).filter_map(|line| line.split(": ").nth(1)).collect();
    let kib: u64 = read("/proc/meminfo").split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or_default();
    let load = read("/proc/loadavg").split(' ').nth(1).unwrap_or("unknown").to_owned();
    format!(
        "{} × {}, {} GiB, load average {load} over the five minutes before its end",
        models.len(),
        models.first().unwrap_or(&"unknown processor"),
        (kib + (1 << 19)) >> 20,
    )
}

/// A line for the person who waits.
pub(crate) fn note(line: &str) {
    // Nobody reads: not a reason to end.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// What was wanted of a figure, and whether it was reached.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) what: String,
    pub(crate) measured: String,
    /// In words, with its direction: `≥ 5`.
    pub(crate) target: String,
    pub(crate) met: bool,
}

impl Target {
    /// A ratio that should be at least `least`.
    pub(crate) fn at_least(what: impl Into<String>, measured: f64, least: f64) -> Self {
        let (measured, target, met) = (format!("{measured:.2} ×"), format!("≥ {least} ×"), measured >= least);
        Self { what: what.into(), measured, target, met }
    }

    /// A time that should be at most `most_ms`.
    pub(crate) fn at_most_ms(what: impl Into<String>, measured_ms: f64, most_ms: f64) -> Self {
        let (measured, target) = (format!("{measured_ms:.1} ms"), format!("≤ {most_ms} ms"));
        Self { what: what.into(), measured, target, met: measured_ms <= most_ms }
    }

    /// All of them as a table.
    pub(crate) fn table(targets: &[Self]) -> String {
        let rows = targets.iter().map(|one| {
            let met = if one.met { "yes" } else { "**no**" };
            vec![one.what.clone(), one.measured.clone(), one.target.clone(), met.to_owned()]
        });
        table(&["what", "measured", "target", "met"], rows)
    }
}

/// A table in Markdown.
pub(crate) fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head_line = line(&head.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>());
    let rule = format!("|{}\n", "---|".repeat(head.len()));
    rows.into_iter().fold(head_line + &rule, |table, row| table + &line(&row))
}

/// One benchmark's part of the results, in Markdown.
#[derive(Debug)]
pub(crate) struct Section {
    /// The subcommand; also names the section's marks.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) body: String,
}

impl Section {
    /// Prints it, and writes it down if that was asked for.
    ///
    /// # Errors
    /// Neither can be written.
    pub(crate) fn publish(&self, common: Common) -> anyhow::Result<()> {
        let text = self.text();
        std::io::stdout().write_all(text.as_bytes())?;
        if !common.write {
            return Ok(());
        }
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("RESULTS.md");
        let before = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        fs::write(&path, self.inserted_into(&before)).with_context(|| format!("cannot write {}", path.display()))?;
        note(&format!("written to {}", path.display()));
        Ok(())
    }

    fn begin(&self) -> String {
        format!("<!-- {}: ", self.name)
    }

    fn end(&self) -> String {
        format!("<!-- /{} -->\n", self.name)
    }

    fn text(&self) -> String {
        let Self { name, title, body } = self;
        let (date, machine) = (Utc::now().format("%Y-%m-%d"), machine());
        format!(
            "{}written by `make bench-{name}` -->\n## {title}\n\nMeasured {date} on {machine}. Again with \
             `make bench-{name}`.\n\n{}\n{}",
            self.begin(),
            body.trim_end(),
            self.end()
        )
    }

    /// `before` with this section in the place of its predecessor, or at the end.
    fn inserted_into(&self, before: &str) -> String {
        let begin = before.find(&self.begin());
        let end = before.find(&self.end()).map(|at| at + self.end().len());
        match (begin, end) {
            (Some(begin), Some(end)) => format!("{}{}{}", &before[..begin], self.text(), &before[end..]),
            _ => format!("{}\n\n{}", before.trim_end(), self.text()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Section;

    fn section(name: &'static str, body: &str) -> Section {
        Section { name, title: "A title", body: body.to_owned() }
    }

    #[test]
    fn a_section_replaces_itself_and_leaves_the_others_alone() {
        let web = "# Measured\n\n<!-- web: x -->\n## Web\n1 ms\n<!-- /web -->\n";
        let one = section("one", "first").inserted_into(web);
        let both = section("two", "second").inserted_into(&one);
        let again = section("one", "third").inserted_into(&both);
        assert!(again.starts_with(web) && again.contains("third") && again.contains("second"), "{again}");
        assert!(!again.contains("first"), "{again}");
        assert!(again.find("third") < again.find("second"), "{again}");
        assert_eq!(section("one", "third").inserted_into(&again), again);
    }
}
