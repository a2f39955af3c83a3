//! The words of the mock provider: a useful answer, cut as a model cuts it.

/// Splits `text` into pieces of about one token: a word with the space before it, or up to two Chinese characters.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = String> {
    let mut pieces: Vec<String> = Vec::new();
    for character in text.chars() {
        let wide = character as u32 >= 0x2e80;
        let begins = match pieces.last() {
            None => true,
            Some(last) => {
                let full = last.chars().count() >= if wide { 2 } else { 12 };
                full || (character == ' ' && !last.ends_with(' ')) || (character == '\n') != last.ends_with('\n')
            }
        };
        if begins {
            pieces.push(String::new());
        }
        if let Some(last) = pieces.last_mut() {
            last.push(character);
        }
    }
    pieces.into_iter()
}

/// The `[[name value]]` directives of a prompt, and what remains of it.
pub(super) fn directives(prompt: &str) -> (Vec<(String, String)>, String) {
    let mut found = Vec::new();
    let mut rest = String::new();
    let mut remaining = prompt;
    while let Some((before, inside)) = remaining.split_once("[[") {
        let Some((directive, after)) = inside.split_once("]]") else { break };
        let (name, value) = directive.trim().split_once(' ').unwrap_or((directive.trim(), ""));
        found.push((name.to_owned(), value.trim().to_owned()));
        rest.push_str(before);
        remaining = after;
    }
    rest.push_str(remaining);
    (found, rest.trim().to_owned())
}

/// An answer that uses everything that a page has to show.
pub(super) fn answer(question: &str) -> String {
    let question = if question.is_empty() { "nothing at all" } else { question };
    format!(
        "You said: {question}\n\n\
         ## What this answer shows\n\n\
         A paragraph with **bold**, *italic*, `code` and a [link](https://example.com/).\n\n\
         1. first\n2. second\n   - nested\n\n\
         ```rust\nfn main() {{\n    println!(\"Hello, {{}}\", \"world\");\n}}\n```\n\n\
         Inline mathematics $e^{{i\\pi}} + 1 = 0$ and a block:\n\n\
         $$\n\\int_0^1 x^2 \\, dx = \\frac{{1}}{{3}}\n$$\n\n\
         | fruit | 中文 |\n|---|---|\n| apple | 苹果 |\n| pear | 梨 |\n\n\
         你好，世界。这是一段中文，用来检查换行和字体。\n"
    )
}

/// An answer of exactly `chunks` pieces.
pub(super) fn of_length(question: &str, chunks: usize) -> String {
    let mut text: Vec<String> = pieces(&answer(question)).collect();
    let mut paragraph = 1;
    while text.len() < chunks {
        let more = format!("\nParagraph {paragraph} goes on so that the answer is as long as it was asked to be.\n");
        text.extend(pieces(&more));
        paragraph += 1;
    }
    text.truncate(chunks);
    text.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_put_together_are_the_text() {
        let text = answer("Why?");
        assert_eq!(pieces(&text).collect::<String>(), text);
        assert!(pieces(&text).count() > 80);
    }

    #[test]
    fn a_bracket_that_never_closes_is_text() {
        assert_eq!(directives("a [[b"), (vec![], "a [[b".to_owned()));
        assert_eq!(directives("a [[b 1]] c"), (vec![("b".to_owned(), "1".to_owned())], "a  c".to_owned()));
    }
}
