//! Text read aloud.
//!
//! Source: `createSpeech` of OpenAI's API description; the header of a WAV file as in "Multimedia Programming Interface and
//! Data Specifications 1.0" (Microsoft and IBM, 1991).

use serde_json::{Map, Value};

use super::{Told, unsupported};
use crate::InvalidRequest;
use crate::dialects::common::Fields;

/// Samples a second of the sound that models give as bare numbers of 16 bits, one channel.
const RATE: u32 = 24_000;

/// A request for speech.
#[derive(Clone, PartialEq, Eq)]
pub struct Speech {
    /// The model by the name that the asked side knows.
    pub model: String,
    /// What is read.
    pub input: String,
    /// The name of a voice.
    pub voice: String,
    /// In what manner.
    pub instructions: Option<String>,
    /// Such as `mp3`; `None` leaves it to the upstream.
    pub format: Option<String>,
}

impl std::fmt::Debug for Speech {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Speech")
            .field("model", &self.model)
            .field("voice", &self.voice)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

impl Speech {
    /// What a client asks. The speed is left out: no mapping has a place for it.
    ///
    /// # Errors
    /// It is malformed; the error names the parameter.
    pub fn read(body: Map<String, Value>) -> Result<Self, InvalidRequest> {
        let mut fields = Fields::new(body, "");
        let input: String = fields.need("input")?;
        if input.trim().is_empty() {
            return Err(InvalidRequest::at("input", "This must not be empty."));
        }
        // A voice of one's own is an object with its id.
        let voice = match fields.need::<Value>("voice")? {
            Value::String(name) => Some(name),
            other => other.get("id").and_then(Value::as_str).map(str::to_owned),
        };
        let voice = voice.ok_or_else(|| InvalidRequest::at("voice", "This must be the name of a voice."))?;
        Ok(Self {
            model: fields.need("model")?,
            input,
            voice,
            instructions: fields.take("instructions")?,
            format: fields.take("response_format")?,
        })
    }

    /// Whether bare samples can be given in the form that is asked for.
    ///
    /// # Errors
    /// They would have to be compressed.
    pub(super) fn check_uncompressed(&self) -> Result<(), InvalidRequest> {
        match self.format.as_deref() {
            None | Some("wav" | "pcm") => Ok(()),
            Some(_) => Err(unsupported("response_format", "This model gives `wav` and `pcm` only.")),
        }
    }

    /// Bare samples in that form.
    pub(super) fn told(&self, samples: Vec<u8>) -> Told {
        if self.format.as_deref() == Some("pcm") {
            return Told::Bytes { content_type: "audio/pcm", bytes: samples };
        }
        let mut bytes = header(u32::try_from(samples.len()).unwrap_or(u32::MAX)).to_vec();
        bytes.extend(samples);
        Told::Bytes { content_type: "audio/wav", bytes }
    }
}

/// The 44 bytes before the samples.
fn header(size: u32) -> [u8; 44] {
    let mut header = [0; 44];
    let fields: [(usize, &[u8]); 13] = [
        (0, b"RIFF"),
        (4, &size.saturating_add(36).to_le_bytes()),
        (8, b"WAVE"),
        (12, b"fmt "),
        (16, &16_u32.to_le_bytes()),
        (20, &1_u16.to_le_bytes()),
        (22, &1_u16.to_le_bytes()),
        (24, &RATE.to_le_bytes()),
        (28, &(RATE * 2).to_le_bytes()),
        (32, &2_u16.to_le_bytes()),
        (34, &16_u16.to_le_bytes()),
        (36, b"data"),
        (40, &size.to_le_bytes()),
    ];
    for (at, bytes) in fields {
        for (place, byte) in header.iter_mut().skip(at).zip(bytes) {
            *place = *byte;
        }
    }
    header
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: Value) -> Result<Speech, InvalidRequest> {
        let Value::Object(map) = body else { panic!("no object") };
        Speech::read(map)
    }

    #[test]
    fn samples_get_a_header_that_players_understand() {
        let asked = read(json!({ "model": "m", "input": "hi", "voice": "alloy" })).unwrap();
        let Told::Bytes { content_type, bytes } = asked.told(vec![1, 2, 3, 4]) else { panic!("no bytes") };
        assert_eq!((content_type, bytes.len()), ("audio/wav", 48));
        let expected = "524946462800000057415645666d74201000000001000100c05d000080bb0000020010006461746104000000";
        assert_eq!(hex::encode(&bytes[..44]), expected);
        assert_eq!(bytes[44..], [1, 2, 3, 4]);
    }

    #[test]
    fn a_form_that_needs_compression_is_refused_and_a_voice_is_a_name_or_an_id() {
        let mp3 =
            read(json!({ "model": "m", "input": "hi", "voice": { "id": "v1" }, "response_format": "mp3" })).unwrap();
        assert_eq!(mp3.voice, "v1");
        assert_eq!(mp3.check_uncompressed().unwrap_err().param.as_deref(), Some("response_format"));
        for (body, place) in [
            (json!({ "model": "m", "voice": "v" }), "input"),
            (json!({ "model": "m", "input": " ", "voice": "v" }), "input"),
            (json!({ "model": "m", "input": "hi" }), "voice"),
            (json!({ "input": "hi", "voice": "v" }), "model"),
        ] {
            assert_eq!(read(body).unwrap_err().param.as_deref(), Some(place));
        }
    }
}
