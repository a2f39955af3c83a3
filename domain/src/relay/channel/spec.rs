//! Channels as their rules say.
