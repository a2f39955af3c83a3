//! The dialect against OpenAI's documents, both sides.
