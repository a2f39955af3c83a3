//! What a connection does with the bytes of an answer: sends them, in packets, after pauses, or breaks.
//!
//! Promise: what was said before a cut arrives before the cut, and the request is finished only when its client has
//! taken everything.

use std::collections::VecDeque;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures::stream;

use super::Watch;
use super::script::Step;

/// Long enough for the server to write everything that it has.
const BEFORE_A_CUT: Duration = Duration::from_millis(50);

/// What the connection does next.
enum Packet {
    Bytes(Bytes),
    Wait(Duration),
    Stall,
    Cut,
}

/// What the connection does, in order.
pub(super) struct Packets {
    list: VecDeque<Packet>,
    packet_bytes: Option<usize>,
}

impl Packets {
    /// Nothing yet; with `packet_bytes`, what is sent is split into packets of that size.
    pub(super) fn new(packet_bytes: Option<usize>) -> Self {
        Self { list: VecDeque::new(), packet_bytes }
    }

    pub(super) fn bytes(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        let size = self.packet_bytes.unwrap_or(bytes.len()).max(1);
        for packet in bytes.chunks(size) {
            self.list.push_back(Packet::Bytes(Bytes::copy_from_slice(packet)));
            if self.packet_bytes.is_some() {
                // Long enough for the packet to leave alone; the server would merge what is ready at once.
                self.list.push_back(Packet::Wait(Duration::from_millis(1)));
            }
        }
    }

    pub(super) fn wait(&mut self, pause: Duration) {
        if !pause.is_zero() {
            self.list.push_back(Packet::Wait(pause));
        }
    }

    /// What a step does to the connection; nothing for what a model generates.
    pub(super) fn happening(&mut self, step: &Step) {
        match step {
            Step::Raw(bytes) => self.bytes(bytes),
            Step::Wait(pause) => self.list.push_back(Packet::Wait(*pause)),
            Step::Stall => self.list.push_back(Packet::Stall),
            // The server drops what it has not written yet; what was said before the cut must arrive.
            Step::Cut => self.list.extend([Packet::Wait(BEFORE_A_CUT), Packet::Cut]),
            Step::Say(_) | Step::Think(_) | Step::Call { .. } | Step::Arguments { .. } | Step::Fail => {}
        }
    }

    /// The body that does all that.
    pub(super) fn into_body(self, watch: Watch) -> Body {
        Body::from_stream(stream::unfold((self.list, watch), next))
    }
}

async fn next(
    (mut packets, mut watch): (VecDeque<Packet>, Watch),
) -> Option<(Result<Bytes, std::io::Error>, (VecDeque<Packet>, Watch))> {
    loop {
        match packets.pop_front() {
            Some(Packet::Bytes(bytes)) => return Some((Ok(bytes), (packets, watch))),
            Some(Packet::Wait(pause)) => tokio::time::sleep(pause).await,
            Some(Packet::Stall) => std::future::pending().await,
            Some(Packet::Cut) => {
                watch.finished = true;
                // An error from the body makes the server close the connection without the final chunk.
                return Some((Err(std::io::Error::other("cut as scripted")), (VecDeque::new(), watch)));
            }
            None => {
                watch.finished = true;
                return None;
            }
        }
    }
}
