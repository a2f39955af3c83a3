//! Thoughts between `<think>` and `</think>` at the beginning of a text, as models write them where the server does not
//! take them apart: MiniMax without `reasoning_split`, local servers without a parser for the model.

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// A piece of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Thought(String),
    Said(String),
}

/// Takes a text apart as it comes. Blanks around the tags belong to nobody.
pub(super) struct Tags {
    state: State,
    /// What may be the beginning of a tag.
    held: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing but blanks came.
    Start,
    /// A tag was read; blanks that follow are skipped.
    Opened,
    Inside,
    Closed,
    Outside,
}

impl Tags {
    /// `looks` says whether there may be tags at all.
    pub(super) fn new(looks: bool) -> Self {
        Self { state: if looks { State::Start } else { State::Outside }, held: String::new() }
    }

    /// The pieces of the next fragment; none is empty.
    pub(super) fn take(&mut self, fragment: &str) -> Vec<Piece> {
        if self.state == State::Outside {
            return piece(Piece::Said, fragment);
        }
        self.held.push_str(fragment);
        let mut pieces = Vec::new();
        while self.step(&mut pieces) {}
        pieces
    }

    /// What is left at the end of the text.
    pub(super) fn end(&mut self) -> Vec<Piece> {
        let held = std::mem::take(&mut self.held);
        let state = std::mem::replace(&mut self.state, State::Outside);
        match state {
            State::Opened | State::Inside => piece(Piece::Thought, &held),
            State::Start | State::Closed | State::Outside => piece(Piece::Said, &held),
        }
    }

    /// Goes on as far as what is held allows; whether there is more to do.
    fn step(&mut self, pieces: &mut Vec<Piece>) -> bool {
        match self.state {
            State::Start => {
                let text = self.held.trim_start();
                if let Some(rest) = text.strip_prefix(OPEN) {
                    self.go(State::Opened, rest.to_owned());
                    return true;
                }
                if OPEN.starts_with(text) {
                    return false;
                }
                let said = std::mem::take(&mut self.held);
                self.go(State::Outside, String::new());
                pieces.extend(piece(Piece::Said, &said));
                false
            }
            State::Opened | State::Closed => {
                let rest = self.held.trim_start().to_owned();
                let is_blank = rest.is_empty();
                let next = if self.state == State::Opened { State::Inside } else { State::Outside };
                let stays = is_blank && self.state == State::Closed;
                if stays {
                    self.held.clear();
                    return false;
                }
                if is_blank {
                    return false;
                }
                if next == State::Outside {
                    pieces.extend(piece(Piece::Said, &rest));
                    self.go(next, String::new());
                    return false;
                }
                self.go(next, rest);
                true
            }
            State::Inside => {
                if let Some((thought, rest)) = self.held.split_once(CLOSE) {
                    pieces.extend(piece(Piece::Thought, thought.trim_end()));
                    let rest = rest.to_owned();
                    self.go(State::Closed, rest);
                    return true;
                }
                let kept = self.held.len() - tail_that_may_close(&self.held);
                let rest = self.held.split_off(kept);
                pieces.extend(piece(Piece::Thought, &self.held));
                self.held = rest;
                false
            }
            State::Outside => false,
        }
    }

    fn go(&mut self, state: State, held: String) {
        (self.state, self.held) = (state, held);
    }
}

fn piece(kind: fn(String) -> Piece, text: &str) -> Vec<Piece> {
    if text.is_empty() { vec![] } else { vec![kind(text.to_owned())] }
}

/// How many bytes at the end may belong to the closing tag, or are blanks before it.
fn tail_that_may_close(text: &str) -> usize {
    let longest = (1..CLOSE.len()).rev().find(|length| text.ends_with(&CLOSE[..*length])).unwrap_or(0);
    let before = &text[..text.len() - longest];
    longest + (before.len() - before.trim_end().len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Thoughts and text of fragments, joined.
    fn read<'a>(fragments: impl IntoIterator<Item = &'a str>) -> (String, String) {
        let mut tags = Tags::new(true);
        let mut pieces: Vec<Piece> = fragments.into_iter().flat_map(|fragment| tags.take(fragment)).collect();
        pieces.extend(tags.end());
        let mut both = (String::new(), String::new());
        for piece in pieces {
            match piece {
                Piece::Thought(text) => both.0.push_str(&text),
                Piece::Said(text) => both.1.push_str(&text),
            }
        }
        both
    }

    fn pair(thought: &str, said: &str) -> (String, String) {
        (thought.to_owned(), said.to_owned())
    }

    #[test]
    fn thoughts_are_taken_apart_however_the_fragments_fall() {
        let text = "\n<think>\nHm, a < b.\n</think>\n\nYes: 你好";
        for size in 1..text.chars().count() {
            let letters: Vec<char> = text.chars().collect();
            let fragments: Vec<String> = letters.chunks(size).map(|chunk| chunk.iter().collect()).collect();
            let read = read(fragments.iter().map(String::as_str));
            assert_eq!(read, pair("Hm, a < b.", "Yes: 你好"), "fragments of {size}");
        }
    }

    #[test]
    fn a_text_without_the_tag_at_its_beginning_is_only_a_text() {
        assert_eq!(read(["Use <think> ", "like </think> this"]), pair("", "Use <think> like </think> this"));
        assert_eq!(read(["<thi", "s is not it"]), pair("", "<this is not it"));
        assert_eq!(read(["  "]), pair("", "  "));
        let mut tags = Tags::new(false);
        assert_eq!(tags.take("<think>a</think>"), [Piece::Said("<think>a</think>".to_owned())]);
    }

    #[test]
    fn thoughts_that_never_end_are_thoughts() {
        assert_eq!(read(["<think>I wonder", " </thin"]), pair("I wonder </thin", ""));
        assert_eq!(read(["<think></think>", "Yes"]), pair("", "Yes"));
    }
}
