//! Pages of a list, and the opaque cursors between them.
//!
//! Promise: a cursor names the last item that was seen, never a count of items, so rows that are added in between
//! neither repeat an item nor hide one.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};
use utoipa::ToSchema;

/// The most items of a page, whatever is asked for.
pub const MAX_PAGE_ITEMS: u32 = 100;
/// The longest cursor that is looked at, in bytes.
const MAX_CURSOR_BYTES: usize = 256;

/// Some items of a list and where to go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// To be passed as `cursor` for the next page; `null` after the last one.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
}

/// The text is no cursor of this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cursor was not made by this list; start again without one")]
pub struct InvalidCursor;

impl<T> Page<T> {
    /// Makes a page of `limit` items out of up to `limit + 1` rows: the one too many proves that there are more.
    pub(crate) fn cut<C: Serialize>(mut rows: Vec<T>, limit: u32, cursor_of: impl Fn(&T) -> C) -> Self {
        let limit = limit as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = if more { rows.last().map(|row| encode(&cursor_of(row))) } else { None };
        Self { items: rows, next_cursor }
    }
}

/// A page size between 1 and [`MAX_PAGE_ITEMS`].
pub(crate) fn bounded(limit: u32) -> u32 {
    limit.clamp(1, MAX_PAGE_ITEMS)
}

pub(crate) fn encode<C: Serialize>(cursor: &C) -> String {
    // Cursors are tuples of numbers and ids, which always serialise; an empty one would be refused on its return.
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(cursor).unwrap_or_default())
}

pub(crate) fn decode<C: DeserializeOwned>(cursor: &str) -> Result<C, InvalidCursor> {
    if cursor.len() > MAX_CURSOR_BYTES {
        return Err(InvalidCursor);
    }
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| InvalidCursor)?;
    serde_json::from_slice(&bytes).map_err(|_| InvalidCursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_cursor_exactly_if_there_is_more() {
        let page = Page::cut(vec![1, 2, 3], 2, |n| *n);
        assert_eq!(page.items, [1, 2]);
        assert_eq!(decode::<i32>(&page.next_cursor.unwrap()), Ok(2));
        assert_eq!(Page::cut(vec![1, 2], 2, |n| *n).next_cursor, None);
    }

    #[test]
    fn a_text_that_is_no_cursor_is_refused() {
        for text in ["", "!", "bm90IGpzb24", &"A".repeat(1000)] {
            assert_eq!(decode::<(i64, i64)>(text), Err(InvalidCursor), "{text}");
        }
        assert_eq!(decode::<(i64, i64)>(&encode(&"other")), Err(InvalidCursor));
    }
}
