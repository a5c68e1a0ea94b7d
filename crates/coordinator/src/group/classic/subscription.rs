use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use ottla_protocol::{DecodeError, Reader};

use super::ClassicGroup;
use crate::group::owned;

/// The topics that a group of consumers reads, or `None` when that is not to be known: the group is
/// none of consumers, or a member's subscription is not in the consumers' format.
pub(super) fn subscribed_topics(group: &ClassicGroup) -> Option<Arc<BTreeSet<ByteString>>> {
    if !group.uses_consumer_protocol() {
        return None;
    }
    if group.num_members() == 0 {
        return Some(Arc::default());
    }
    let protocol = group.protocol_name.as_ref()?;
    let mut topics = BTreeSet::new();
    for member in group.members() {
        let metadata = member.metadata(protocol).cloned().unwrap_or_default();
        topics.extend(read_topics(metadata).ok()?);
    }
    Some(Arc::new(topics))
}

/// Every version of the consumers' subscription begins as version 0 does: its version, its topics.
fn read_topics(metadata: Bytes) -> Result<Vec<ByteString>, DecodeError> {
    let mut r = Reader::new(metadata);
    let _version = r.i16()?;
    let topics = r.array(false, |r| r.string(false))?;
    Ok(topics.iter().map(owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_read_from_any_version() {
        let metadata = Bytes::from_static(b"\0\x03\0\0\0\x02\0\x01a\0\x02bc\xff\xff\xff\xff rest");
        assert_eq!(read_topics(metadata).unwrap(), vec![ByteString::from("a"), ByteString::from("bc")]);
        assert!(read_topics(Bytes::from_static(b"\0\x03\x7f\0\0\x02")).is_err());
        assert!(read_topics(Bytes::new()).is_err());
    }
}
