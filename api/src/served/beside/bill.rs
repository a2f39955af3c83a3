//! What a call besides conversations is held for, and what it is charged for.
//!
//! Promise: what the provider reports counts; what it does not say is counted here where that is exact (texts, characters,
//! pictures, searches) and estimated where it is not (sound), and the basis says which. Sources of the estimates: OpenAI's
//! guides "Speech to text" (ten tokens a second of input) and "Text to speech" (about 1,250 tokens a minute of output).

use domain::billing::{Basis, Pieces, Tokens};
use metering::{Offer, tokens_of};
use relay::{
    Counted, Usage,
    modalities::{Consumed, Modality},
};

use super::sound::Sound;

/// Milliseconds of sound that are a token to a model that listens.
const MS_PER_HEARD_TOKEN: u64 = 100;
/// Milliseconds of speech that are a token when it is written down.
const MS_PER_WRITTEN_TOKEN: u64 = 250;

/// Of one call.
#[derive(Debug, Clone)]
pub(super) struct Bill {
    pub(super) modality: Modality,
    /// What it reads, sound aside.
    pub(super) input: Counted,
    /// At most.
    pub(super) output_tokens: u32,
    /// At most.
    pub(super) pieces: Pieces,
}

/// Sound that was sent, as far as anything is known of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct SentSound {
    pub(super) sound: Sound,
    pub(super) bytes: u64,
}

impl Bill {
    /// Tokens of the input, sound included.
    pub(super) fn input_at_most(&self) -> u64 {
        self.input.tokens.saturating_add(u64::from(self.pieces.sound_ms).div_ceil(MS_PER_HEARD_TOKEN))
    }

    /// What was consumed of whoever answered; `sent` of a call that sent sound.
    pub(super) fn of(&self, told: &Consumed, sent: Option<SentSound>, by: &Offer) -> (Tokens, Basis) {
        let pieces = self.pieces_of(told, sent);
        let usage = told.usage.unwrap_or_else(|| self.estimate(&pieces));
        let (tokens, basis) = tokens_of(&usage);
        let basis = if told.usage.is_none() && !by.is_sold_by_token() { self.basis(told, sent) } else { basis };
        (Tokens { pieces, ..tokens }, basis)
    }

    fn pieces_of(&self, told: &Consumed, sent: Option<SentSound>) -> Pieces {
        let told_ms = milliseconds(told.seconds);
        let sound_ms = match sent {
            Some(SentSound { sound, bytes }) if told_ms == 0 => sound.about_ms(bytes),
            Some(_) => told_ms,
            None => 0,
        };
        let searches = if told.searches > 0 { told.searches } else { self.pieces.searches };
        Pieces { images: told.images, searches, characters: self.pieces.characters, sound_ms }
    }

    /// The tokens of a provider that does not report them.
    fn estimate(&self, pieces: &Pieces) -> Usage {
        let input = self.input.tokens;
        let estimated = relay::Basis::Estimated;
        match self.modality {
            Modality::Embeddings | Modality::Rerank | Modality::Moderation => Usage::new(input, 0, self.input.basis),
            Modality::ImageGeneration | Modality::ImageEdit => {
                let each = u64::from(self.output_tokens / self.pieces.images.max(1));
                let output = each * u64::from(pieces.images);
                Usage { image_output_tokens: output, ..Usage::new(input, output, estimated) }
            }
            Modality::Speech => {
                // The bound is twice what is usual.
                let output = u64::from(self.output_tokens / 2);
                Usage { audio_output_tokens: output, ..Usage::new(input, output, estimated) }
            }
            Modality::Transcription | Modality::Translation => {
                let sound_ms = u64::from(pieces.sound_ms);
                let (heard, written) = (sound_ms.div_ceil(MS_PER_HEARD_TOKEN), sound_ms.div_ceil(MS_PER_WRITTEN_TOKEN));
                Usage { audio_input_tokens: heard, ..Usage::new(input + heard, written, estimated) }
            }
        }
    }

    /// How the pieces are known.
    fn basis(&self, told: &Consumed, sent: Option<SentSound>) -> Basis {
        if told.seconds > 0.0 || told.searches > 0 {
            return Basis::Reported;
        }
        match sent.map(|sent| sent.sound.basis()) {
            Some(relay::Basis::Estimated) => Basis::Estimated,
            _ => Basis::Counted,
        }
    }
}

/// The output of a recording of this length, at most.
pub(crate) fn written_tokens(sound_ms: u32) -> u32 {
    u32::try_from(u64::from(sound_ms).div_ceil(MS_PER_WRITTEN_TOKEN)).unwrap_or(u32::MAX)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float saturates, and is not negative")]
fn milliseconds(seconds: f64) -> u32 {
    (seconds * 1_000.0).round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bill(modality: Modality, output_tokens: u32, pieces: Pieces) -> Bill {
        let input = Counted { tokens: 10, basis: relay::Basis::Counted };
        Bill { modality, input, output_tokens, pieces }
    }

    #[test]
    fn what_nobody_reports_is_counted_where_that_is_exact_and_else_estimated() {
        let vectors = bill(Modality::Embeddings, 0, Pieces::NONE).estimate(&Pieces::NONE);
        assert_eq!(vectors, Usage::new(10, 0, relay::Basis::Counted));
        let pictures = Pieces { images: 4, ..Pieces::NONE };
        let drawn = bill(Modality::ImageGeneration, 4_000, pictures).estimate(&Pieces { images: 3, ..Pieces::NONE });
        assert_eq!((drawn.image_output_tokens, drawn.basis), (3_000, relay::Basis::Estimated), "of those that came");
        let spoken = bill(Modality::Speech, 600, Pieces { characters: 200, ..Pieces::NONE }).estimate(&Pieces::NONE);
        assert_eq!((spoken.input_tokens, spoken.audio_output_tokens), (10, 300));
        let sound = Pieces { sound_ms: 2_000, ..Pieces::NONE };
        let heard = bill(Modality::Transcription, 8, sound).estimate(&sound);
        assert_eq!((heard.input_tokens, heard.audio_input_tokens, heard.output_tokens), (30, 20, 8));
    }

    #[test]
    fn what_is_held_for_a_recording_covers_what_it_is_charged_for() {
        let sound = Pieces { sound_ms: 60_001, ..Pieces::NONE };
        let bill = bill(Modality::Transcription, written_tokens(sound.sound_ms), sound);
        let estimated = bill.estimate(&sound);
        assert!(bill.input_at_most() >= estimated.input_tokens);
        assert!(u64::from(bill.output_tokens) >= estimated.output_tokens);
    }

    #[test]
    fn seconds_are_told_by_the_provider_or_by_the_recording() {
        let bill = bill(Modality::Translation, 0, Pieces { sound_ms: 9_000, ..Pieces::NONE });
        let sent = Some(SentSound { sound: Sound::of(b"OggS"), bytes: 32_000 });
        let told = |seconds| Consumed { seconds, ..Consumed::default() };
        assert_eq!(bill.pieces_of(&told(8.47), sent).sound_ms, 8_470);
        assert_eq!(bill.pieces_of(&told(0.0), sent).sound_ms, 2_000);
        assert_eq!(bill.basis(&told(8.47), sent), Basis::Reported);
        assert_eq!(bill.basis(&told(0.0), sent), Basis::Estimated);
    }
}
