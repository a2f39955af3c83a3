//! Frames.

use proptest::prelude::*;

use super::*;

// Vectors of AWS' own tests: github.com/boto/botocore, tests/unit/test_eventstream.py (Apache-2.0).
const EMPTY: &[u8] = b"\x00\x00\x00\x10\x00\x00\x00\x00\x05\xc2H\xeb}\x98\xc8\xff";
const ERROR: &[u8] = b"\x00\x00\x00\x52\x00\x00\x00\x42\xbf\x23\x63\x7e\x0d:message-type\x07\x00\x05error\
    \x0b:error-code\x07\x00\x04code\x0e:error-message\x07\x00\x07message\x6b\x6c\xea\x3d";
const INITIAL: &[u8] =
    b"\x00\x00\x00~\x00\x00\x00O\xc5\xa3\xdd\xc6\r:message-type\x07\x00\x05event\x0b:event-type\x07\x00\
    \x10initial-response\r:content-type\x07\x00\ttext/json{\"InitialResponse\": \"sometext\"}\xf6\x98$\x83";
const ALL_TYPES: &[u8] =
    b"\x00\x00\x00\x62\x00\x00\x00\x52\x03\xb5\xcb\x9c\x010\x00\x011\x01\x012\x02\x02\x013\x03\x00\x03\
    \x014\x04\x00\x00\x00\x04\x015\x05\x00\x00\x00\x00\x00\x00\x00\x05\x016\x06\x00\x05bytes\x017\x07\x00\x04utf8\
    \x018\x08\x00\x00\x00\x00\x00\x00\x00\x08\x019\x090123456789abcdef\x63\x35\x36\x71";
const CORRUPTED_HEADER_LENGTH: &[u8] = b"\x00\x00\x00=\xFF\x00\x01\x02\x07\xfd\x83\x96\x0ccontent-type\x07\x00\x10application/json{'foo':'bar'}\x8d\x9c\x08\xb1";
const CORRUPTED_HEADERS: &[u8] = b"\x00\x00\x00=\x00\x00\x00 \x07\xfd\x83\x96\x0ccontent+type\x07\x00\x10application/json{'foo':'bar'}\x8d\x9c\x08\xb1";
const CORRUPTED_LENGTH: &[u8] = b"\x01\x00\x00\x1d\x00\x00\x00\x00\xfdR\x8cZ{'foo':'bar'}\xc3e96";
const CORRUPTED_PAYLOAD: &[u8] = b"\x00\x00\x00\x1d\x00\x00\x00\x00\xfdR\x8cZ{'foo':'bar'\x8d\xc3e96";

fn one(bytes: &[u8]) -> Result<Frame, String> {
    let frames = unframed(bytes, bytes.len()).map_err(|error| error.to_string())?;
    Ok(frames.into_iter().next().unwrap())
}

#[test]
fn events_and_errors_of_aws_vectors_are_read() {
    let initial = Frame { name: "initial-response".to_owned(), data: "{\"InitialResponse\": \"sometext\"}".to_owned() };
    assert_eq!(one(INITIAL), Ok(initial));
    let error = Frame { name: "exception:code".to_owned(), data: "{\"message\":\"message\"}".to_owned() };
    assert_eq!(one(ERROR), Ok(error));
}

#[test]
fn whole_frames_that_do_not_say_what_they_are_are_garbage() {
    for bytes in [EMPTY, ALL_TYPES] {
        assert!(one(bytes).unwrap_err().ends_with("a frame is of no known type"));
    }
}

#[test]
fn damaged_frames_of_aws_vectors_are_garbage() {
    for bytes in [CORRUPTED_HEADER_LENGTH, CORRUPTED_HEADERS, CORRUPTED_PAYLOAD] {
        assert!(one(bytes).unwrap_err().ends_with("a frame is damaged"));
    }
    assert!(one(CORRUPTED_LENGTH).unwrap_err().ends_with("the length of a frame is beyond its limits"));
}

#[test]
fn an_exception_is_named_as_one() {
    let frame = one(&frame("exception", "throttlingException", "{\"message\":\"slow\"}")).unwrap();
    assert_eq!((frame.name.as_str(), frame.data.as_str()), ("exception:throttlingException", "{\"message\":\"slow\"}"));
}

#[test]
fn bytes_that_are_no_whole_frame_wait_for_more() {
    let mut frames = Frames::new(1 << 10);
    assert!(!frames.is_partial());
    frames.push(&INITIAL[..3]);
    assert_eq!(frames.next_frame(), Ok(None));
    frames.push(&INITIAL[3..100]);
    assert_eq!(frames.next_frame(), Ok(None));
    assert!(frames.is_partial());
    frames.push(&INITIAL[100..]);
    assert!(frames.next_frame().unwrap().is_some());
    assert!(!frames.is_partial());
}

#[test]
fn a_frame_beyond_the_limit_is_refused_before_it_is_held() {
    let mut frames = Frames::new(INITIAL.len() - 1);
    frames.push(&INITIAL[..4]);
    assert_eq!(frames.next_frame().unwrap_err().code(), "upstream_garbage");
    let mut tiny = Frames::new(1 << 10);
    tiny.push(&[0, 0, 0, 15]);
    assert_eq!(tiny.next_frame().unwrap_err().code(), "upstream_garbage");
}

proptest! {
    #[test]
    fn frames_are_the_same_however_the_bytes_arrive(
        events in prop::collection::vec(("[a-zA-Z]{1,20}", "\\PC{0,60}"), 0..6),
        size in 1_usize..64,
    ) {
        let body: Vec<u8> = events.iter().flat_map(|(name, data)| frame("event", name, data)).collect();
        let expected: Vec<_> =
            events.into_iter().map(|(name, data)| Frame { name, data }).collect();
        prop_assert_eq!(unframed(&body, size), Ok(expected));
    }

    #[test]
    fn a_byte_that_was_changed_is_noticed(at in 0_usize..126, bit in 0_u32..8) {
        let mut bytes = INITIAL.to_vec();
        bytes[at] ^= 1 << bit;
        let mut frames = Frames::new(1 << 20);
        frames.push(&bytes);
        prop_assert!(!matches!(frames.next_frame(), Ok(Some(_))));
    }

    #[test]
    fn no_bytes_break_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut frames = Frames::new(1 << 10);
        frames.push(&bytes);
        while let Ok(Some(_)) = frames.next_frame() {}
    }
}
