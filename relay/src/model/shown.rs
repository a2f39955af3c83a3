//! How the types of a conversation are shown to programmers: their shape, and nothing that people or models said.

use std::fmt;

use super::{Answer, Audio, Candidate, MediaSource, Opaque, OutputFormat, Tool, ToolOutcome};

impl fmt::Debug for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opaque({:?})", self.dialect)
    }
}

impl fmt::Debug for MediaSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline { media_type, base64 } => write!(f, "Inline({media_type}, {} bytes)", base64.len()),
            Self::Url { .. } => f.write_str("Url"),
            Self::Uploaded(id) => write!(f, "Uploaded({id})"),
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
        }
    }
}

impl fmt::Debug for Audio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Audio({}, {} bytes)", self.format, self.base64.len())
    }
}

impl fmt::Debug for ToolOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ToolOutcome({}, {:?})", self.call_id, self.content)
    }
}

impl fmt::Debug for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Function { name, .. } => write!(f, "Function({name})"),
            Self::Custom { name, .. } => write!(f, "Custom({name})"),
            Self::Other(opaque) => write!(f, "Other({:?})", opaque.dialect),
        }
    }
}

impl fmt::Debug for OutputFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("Text"),
            Self::Json => f.write_str("Json"),
            Self::Schema { name, strict, .. } => write!(f, "Schema({name}, strict: {strict:?})"),
        }
    }
}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Candidate({:?}, {:?})", self.parts, self.finish)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({}, {}, {:?})", self.id, self.model, self.candidates)
    }
}
