//! What may be in a conversation that somebody on its way has to know of.

use std::ops::BitOr;

/// A set of them. A mark says that something may be there; where it is missing, it is certainly not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Marks(u16);

impl Marks {
    pub(crate) const NONE: Self = Self(0);
    /// A picture, a recording or a file.
    pub(crate) const FLAT: Self = Self(1);
    /// The result of a tool.
    pub(crate) const RESULTS: Self = Self(1 << 1);
    /// A signature that only we can read, as Anthropic's clients have it.
    pub(crate) const CARRIED: Self = Self(1 << 2);
    /// A message of the developer's.
    pub(crate) const DEVELOPER: Self = Self(1 << 3);
    /// A field `name`.
    pub(crate) const NAMES: Self = Self(1 << 4);
    /// Content that is a list.
    pub(crate) const PARTS: Self = Self(1 << 5);
    /// Anthropic's `cache_control`.
    pub(crate) const CACHE_CONTROL: Self = Self(1 << 6);
    /// Thoughts beside the content.
    pub(crate) const THOUGHTS: Self = Self(1 << 7);
    /// Google's `extra_content` of a call.
    pub(crate) const EXTRA_CONTENT: Self = Self(1 << 8);
    /// `strict` of a tool.
    pub(crate) const STRICT: Self = Self(1 << 9);
    /// A name with an underscore.
    pub(crate) const SNAKE_CASE: Self = Self(1 << 10);
    /// Google's call of a function, or a signature.
    pub(crate) const GOOGLE_CALLS: Self = Self(1 << 11);
    /// An item of OpenAI's that is thoughts.
    pub(crate) const REASONING_ITEMS: Self = Self(1 << 12);
    pub(crate) const ALL: Self = Self(u16::MAX);

    /// What matters of tools: the rest of the names in them is what their authors chose.
    const OF_TOOLS: Self = Self(Self::CACHE_CONTROL.0 | Self::STRICT.0 | Self::SNAKE_CASE.0);

    /// Whether one of these is among them.
    pub(crate) const fn any(self, these: Self) -> bool {
        self.0 & these.0 != 0
    }

    /// Those that count in the list of tools.
    pub(super) const fn in_tools(self) -> Self {
        Self(self.0 & Self::OF_TOOLS.0)
    }

    /// These where `is_so`, else none.
    pub(crate) const fn when(self, is_so: bool) -> Self {
        if is_so { self } else { Self::NONE }
    }
}

impl BitOr for Marks {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
