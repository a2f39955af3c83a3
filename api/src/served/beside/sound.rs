//! How long a recording is, as far as its first bytes tell: for a hold, and for a transcript whose provider does not say.
//!
//! Sources: "Multimedia Programming Interface and Data Specifications 1.0" (Microsoft and IBM, 1991) for WAV, ISO/IEC
//! 11172-3 section 2.4.2.3 for the bit rates of MP3. Other formats have no length near their beginning.

use relay::Basis;

/// A recording is held for as if it were so dense: 32 kbit/s, the usual one of speech in messengers. A denser one is shorter.
const LEAST_BYTES_PER_SECOND: u64 = 4_000;
/// What it is charged for where nobody says it: 128 kbit/s, the usual one of files.
const USUAL_BYTES_PER_SECOND: u64 = 16_000;
/// Kilobits a second of MPEG 1 layer III, and of MPEG 2 and 2.5 layer III, by the four bits of a frame.
const MPEG_1: [u64; 16] = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0];
const MPEG_2: [u64; 16] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0];

/// Bytes that a second takes, and how that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sound {
    bytes_per_second: Option<u64>,
    basis: Basis,
}

impl Sound {
    /// A recording that begins with these bytes.
    pub(crate) fn of(beginning: &[u8]) -> Self {
        if let Some(rate) = wav(beginning) {
            return Self { bytes_per_second: Some(rate), basis: Basis::Counted };
        }
        // The rate of the first frame may be that of no other.
        Self { bytes_per_second: mp3(beginning), basis: Basis::Estimated }
    }

    /// So many bytes of it last at most, in milliseconds.
    pub(crate) fn at_most_ms(self, bytes: u64) -> u32 {
        milliseconds(bytes, self.bytes_per_second.unwrap_or(LEAST_BYTES_PER_SECOND))
    }

    /// So many bytes of it last about, in milliseconds.
    pub(crate) fn about_ms(self, bytes: u64) -> u32 {
        milliseconds(bytes, self.bytes_per_second.unwrap_or(USUAL_BYTES_PER_SECOND))
    }

    /// How far its length can be trusted.
    pub(crate) const fn basis(self) -> Basis {
        self.basis
    }
}

fn milliseconds(bytes: u64, per_second: u64) -> u32 {
    u32::try_from(bytes.saturating_mul(1_000).div_ceil(per_second.max(1))).unwrap_or(u32::MAX)
}

/// Bytes a second of uncompressed sound, as its header says.
fn wav(bytes: &[u8]) -> Option<u64> {
    let (header, mut chunks) = bytes.split_at_checked(12)?;
    if !header.starts_with(b"RIFF") || !header.ends_with(b"WAVE") {
        return None;
    }
    while let Some((head, rest)) = chunks.split_at_checked(8) {
        let (name, size) = head.split_at_checked(4)?;
        let size = usize::try_from(u32::from_le_bytes(size.try_into().ok()?)).ok()?;
        if name == b"fmt " {
            let rate = u32::from_le_bytes(rest.get(8..12)?.try_into().ok()?);
            return Some(u64::from(rate)).filter(|rate| *rate > 0);
        }
        // Chunks begin at even places.
        chunks = rest.get(size.checked_add(size % 2)?..)?;
    }
    None
}

/// Bytes a second by the first frame of layer III, behind the tags before it.
fn mp3(bytes: &[u8]) -> Option<u64> {
    let frames = match bytes {
        [b'I', b'D', b'3', _, _, _, a, b, c, d, rest @ ..] => {
            let size = [a, b, c, d].into_iter().fold(0_usize, |size, byte| (size << 7) | usize::from(byte & 0x7f));
            rest.get(size..)?
        }
        _ => bytes,
    };
    let [0xff, second, third, ..] = frames else { return None };
    let is_layer_3 = second & 0xe0 == 0xe0 && second & 0x06 == 0x02;
    let rates = if second & 0x18 == 0x18 { MPEG_1 } else { MPEG_2 };
    let kilobits = rates.get(usize::from(third >> 4)).copied().filter(|rate| is_layer_3 && *rate > 0)?;
    Some(kilobits * 1_000 / 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(rate: u32, before: &[u8]) -> Vec<u8> {
        let mut bytes = b"RIFF\0\0\0\0WAVE".to_vec();
        bytes.extend(before);
        bytes.extend(b"fmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0");
        bytes.extend(rate.to_le_bytes());
        bytes.extend([2, 0, 16, 0]);
        bytes
    }

    #[test]
    fn uncompressed_sound_says_how_long_it_is() {
        for before in [&b""[..], b"LIST\x03\0\0\0abc\0"] {
            let sound = Sound::of(&wave(32_000, before));
            assert_eq!((sound.at_most_ms(48_000), sound.about_ms(48_000)), (1_500, 1_500));
            assert_eq!(sound.basis(), Basis::Counted);
        }
    }

    #[test]
    fn the_first_frame_of_an_mp3_is_a_guess_behind_its_tags() {
        // 128 kbit/s of MPEG 1, 64 of MPEG 2.
        for (frame, rate) in [([0xff, 0xfb, 0x90, 0x64], 16_000), ([0xff, 0xf3, 0x84, 0x64], 8_000)] {
            let tagged = [&b"ID3\x04\0\0\0\0\0\x03abc"[..], &frame].concat();
            for bytes in [&frame[..], &tagged] {
                let sound = Sound::of(bytes);
                assert_eq!((sound.about_ms(2 * rate), sound.basis()), (2_000, Basis::Estimated));
            }
        }
    }

    #[test]
    fn what_says_nothing_is_held_for_as_long_and_charged_as_usual() {
        let odd: [&[u8]; 7] = [
            b"",
            b"OggS",
            b"RIFF\0\0\0\0WAVE",
            &wave(0, b""),
            b"RIFF\0\0\0\0WAVELIST\xff\xff\xff\xff",
            b"ID3\x04\0\0\x7f\x7f\x7f\x7f",
            &[0xff, 0xfb, 0xf0],
        ];
        for bytes in odd {
            let sound = Sound::of(bytes);
            assert_eq!((sound.at_most_ms(16_000), sound.about_ms(16_000)), (4_000, 1_000), "{bytes:?}");
        }
        assert_eq!(Sound::of(b"").at_most_ms(u64::MAX), u32::MAX);
    }
}
