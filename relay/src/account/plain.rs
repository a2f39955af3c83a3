//! Events that need no correcting, which is nearly all of them: looked at without being taken apart, and passed on as
//! they came but for the model's name.
//!
//! Promise: only what certainly comes out the same is taken. Whatever is unusual, or says anything besides a piece of
//! text, of thoughts or of a call's arguments, is left to whoever corrects; what is left differs in nothing that it says
//! from what that one would have made of it.

mod event;
mod whole;

use std::borrow::Cow;
use std::ops::Range;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

pub(super) use self::event::{BLOCK_DELTA, Chunk, block};
pub(super) use self::whole::whole;

/// A text, borrowed where nothing in it is escaped; serde borrows none within an `Option` by itself.
#[derive(Default, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A member that is there, `null` included.
fn written<'de, D: Deserializer<'de>>(value: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(value).map(Some)
}

/// Where in `data` a value is that was read from it.
fn place(data: &str, value: &RawValue) -> Option<Range<usize>> {
    let start = (value.get().as_ptr() as usize).checked_sub(data.as_ptr() as usize)?;
    let end = start.checked_add(value.get().len())?;
    (end <= data.len()).then_some(start..end)
}

/// Where the member of an object is whose value is at `value`, with one of the commas beside it; `None` where its name is
/// not written as `key`.
fn member(data: &str, key: &str, value: Range<usize>) -> Option<Range<usize>> {
    let before = data.get(..value.start)?.trim_end().strip_suffix(':')?.trim_end().strip_suffix(key)?.trim_end();
    if let Some(before) = before.strip_suffix(',') {
        return Some(before.len()..value.end);
    }
    let after = data.get(value.end..)?;
    let next = after.trim_start().strip_prefix(',')?;
    Some(before.len()..data.len() - next.len())
}

/// `data` with these pieces replaced, which are in order and do not overlap.
fn spliced<const N: usize>(data: &str, changes: [(Range<usize>, &str); N]) -> String {
    let mut told = String::with_capacity(data.len() + changes.iter().map(|(_, new)| new.len()).sum::<usize>());
    let mut from = 0;
    for (Range { start, end }, new) in changes {
        told.push_str(data.get(from..start).unwrap_or_default());
        told.push_str(new);
        from = end;
    }
    told.push_str(data.get(from..).unwrap_or_default());
    told
}
