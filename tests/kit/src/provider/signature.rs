//! Signatures as providers put them on thoughts: opaque to everybody, checked when they come back.
//!
//! Promise: a signature that this provider did not make for exactly these words is recognised, like the real ones are.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// The signature of these words.
pub(super) fn sign(words: &str) -> String {
    let mut bytes = b"mock".to_vec();
    bytes.extend(Sha256::digest(format!("the mock provider thought: {words}")));
    STANDARD.encode(bytes)
}

/// Whether it is that of these words. Either alphabet and any padding are one signature: it is bytes to some SDKs.
pub(super) fn is_of(signature: &str, words: &str) -> bool {
    let bare = |text: &str| text.trim_end_matches('=').replace('-', "+").replace('_', "/");
    bare(signature) == bare(&sign(words))
}
