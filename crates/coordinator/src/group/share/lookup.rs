use std::borrow::Cow;

use bytestring::ByteString;

use super::{ShareGroup, ShareGroupError};

/// What goes by the id that a request names.
#[derive(Debug, Clone, Copy)]
pub enum ShareGroupLookup<'a> {
    /// A share group.
    Share(&'a ShareGroup),
    /// A group of another type. Groups do not change from or to share groups.
    OtherType,
    /// Nothing.
    Absent,
}

impl<'a> ShareGroupLookup<'a> {
    /// The share group, which must be there.
    pub fn existing(self) -> Result<&'a ShareGroup, ShareGroupError> {
        match self {
            Self::Share(group) => Ok(group),
            Self::OtherType => Err(ShareGroupError::NotAShareGroup),
            Self::Absent => Err(ShareGroupError::GroupIdNotFound),
        }
    }

    /// The share group, or a new one of this id.
    pub fn existing_or_new(self, group_id: &ByteString) -> Result<Cow<'a, ShareGroup>, ShareGroupError> {
        match self {
            Self::Share(group) => Ok(Cow::Borrowed(group)),
            Self::OtherType => Err(ShareGroupError::NotAShareGroup),
            Self::Absent => Ok(Cow::Owned(ShareGroup::new(group_id))),
        }
    }
}
