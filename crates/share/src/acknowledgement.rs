use ottla_common::ErrorCode;

use crate::error::SharePartitionError;

/// What a member says of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AcknowledgeType {
    /// There is no record at this offset.
    Gap,
    /// It is done.
    Accept,
    /// Somebody may try again.
    Release,
    /// Nobody can do it.
    Reject,
    /// More time is needed (KIP-1222).
    Renew,
}

impl AcknowledgeType {
    /// The number on the wire.
    pub const fn id(self) -> i8 {
        match self {
            Self::Gap => 0,
            Self::Accept => 1,
            Self::Release => 2,
            Self::Reject => 3,
            Self::Renew => 4,
        }
    }

    /// The type of this number.
    pub const fn from_id(id: i8) -> Option<Self> {
        match id {
            0 => Some(Self::Gap),
            1 => Some(Self::Accept),
            2 => Some(Self::Release),
            3 => Some(Self::Reject),
            4 => Some(Self::Renew),
            _ => None,
        }
    }
}

/// One `AcknowledgementBatch` of ShareFetch or ShareAcknowledge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcknowledgementBatch {
    /// The first of the offsets.
    pub first_offset: i64,
    /// The last of the offsets.
    pub last_offset: i64,
    /// One for all offsets, or one for each.
    pub acknowledge_types: Vec<i8>,
}

/// A range of offsets, and what is said of each of them.
pub(crate) type Segment = (i64, i64, AcknowledgeType);

impl AcknowledgementBatch {
    /// Whether the types are known ones, and one for all offsets or one for each.
    pub(crate) fn check(&self) -> Result<(), SharePartitionError> {
        let count = i128::try_from(self.acknowledge_types.len()).unwrap_or(i128::MAX);
        let offsets = i128::from(self.last_offset) - i128::from(self.first_offset) + 1;
        let known = self.acknowledge_types.iter().all(|id| AcknowledgeType::from_id(*id).is_some());
        if known && offsets >= 1 && (count == 1 || count == offsets) {
            Ok(())
        } else {
            Err(SharePartitionError::InvalidAcknowledgeType)
        }
    }

    /// Whether any offset asks for more time.
    pub(crate) fn renews(&self) -> bool {
        self.acknowledge_types.contains(&AcknowledgeType::Renew.id())
    }

    /// What is said of the offsets of a range within the batch, in as few pieces as possible.
    pub(crate) fn segments(&self, first: i64, last: i64) -> Vec<Segment> {
        let mut segments: Vec<Segment> = Vec::new();
        if let [id] = self.acknowledge_types[..] {
            segments.extend(AcknowledgeType::from_id(id).map(|kind| (first, last, kind)));
            return segments;
        }
        for offset in first..=last {
            let index = offset.checked_sub(self.first_offset).and_then(|index| usize::try_from(index).ok());
            let id = index.and_then(|index| self.acknowledge_types.get(index));
            let Some(kind) = id.and_then(|id| AcknowledgeType::from_id(*id)) else { break };
            match segments.last_mut() {
                Some((_, end, same)) if *same == kind => *end = offset,
                _ => segments.push((offset, offset, kind)),
            }
        }
        segments
    }
}

/// Looks over one partition's acknowledgements of a request before anything is done. `supports_renew`: the
/// request is of version 2 at least; `is_renew_ack`: it says that it renews.
pub fn validate_acknowledgement_batches(
    batches: &[AcknowledgementBatch],
    supports_renew: bool,
    is_renew_ack: bool,
) -> Result<(), ErrorCode> {
    let renew = AcknowledgeType::Renew.id();
    let max_type = if supports_renew { renew } else { AcknowledgeType::Reject.id() };
    let mut previous_last = -1;
    for batch in batches {
        // Kafka lets a batch begin at the offset that the one before ended with.
        let in_order = batch.first_offset <= batch.last_offset && batch.first_offset >= previous_last;
        let known = batch.acknowledge_types.iter().all(|id| (0..=max_type).contains(id));
        let renews_unsaid = batch.renews() && !is_renew_ack;
        if !in_order || !known || renews_unsaid || batch.check().is_err() {
            return Err(ErrorCode::InvalidRequest);
        }
        previous_last = batch.last_offset;
    }
    Ok(())
}

/// A fetch that renews locks fetches nothing, and has to say so (KIP-1222): the time it would wait could be
/// longer than the locks it renews.
pub fn check_renew_fetch(
    max_bytes: i32,
    min_bytes: i32,
    max_records: i32,
    max_wait_ms: i32,
) -> Result<(), ErrorCode> {
    let nothing = [max_bytes, min_bytes, max_records, max_wait_ms].iter().all(|limit| *limit == 0);
    if nothing { Ok(()) } else { Err(ErrorCode::InvalidRequest) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(first_offset: i64, last_offset: i64, types: &[i8]) -> AcknowledgementBatch {
        AcknowledgementBatch { first_offset, last_offset, acknowledge_types: types.to_vec() }
    }

    fn refused(batches: &[AcknowledgementBatch]) -> bool {
        validate_acknowledgement_batches(batches, true, false) == Err(ErrorCode::InvalidRequest)
    }

    #[test]
    fn batches_in_order_with_known_types_are_taken() {
        let batches = [batch(0, 4, &[1]), batch(5, 7, &[0, 2, 3]), batch(10, 10, &[1])];
        assert_eq!(validate_acknowledgement_batches(&batches, true, false), Ok(()));
        assert_eq!(validate_acknowledgement_batches(&[], true, false), Ok(()));
    }

    #[test]
    fn each_kind_of_nonsense_is_an_invalid_request() {
        assert!(refused(&[batch(5, 4, &[1])]), "ends before it begins");
        assert!(refused(&[batch(5, 9, &[1]), batch(0, 4, &[1])]), "goes backwards");
        assert!(refused(&[batch(0, 4, &[])]), "says nothing");
        assert!(refused(&[batch(0, 4, &[1, 1])]), "neither one type nor five");
        assert!(refused(&[batch(0, 4, &[5])]), "unknown type");
        assert!(refused(&[batch(0, 4, &[-1])]), "unknown type");
        assert!(refused(&[batch(-9, -3, &[1])]), "offsets below zero");
        assert!(refused(&[batch(i64::MIN, i64::MAX, &[1, 1])]), "more offsets than there are numbers");
    }

    #[test]
    fn renewing_needs_its_version_and_its_word() {
        let renewing = [batch(0, 4, &[4])];
        assert_eq!(validate_acknowledgement_batches(&renewing, true, true), Ok(()));
        assert!(validate_acknowledgement_batches(&renewing, true, false).is_err());
        assert!(validate_acknowledgement_batches(&renewing, false, true).is_err());
    }

    #[test]
    fn a_fetch_that_renews_fetches_nothing() {
        assert_eq!(check_renew_fetch(0, 0, 0, 0), Ok(()));
        for fetch in [(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)] {
            assert_eq!(check_renew_fetch(fetch.0, fetch.1, fetch.2, fetch.3), Err(ErrorCode::InvalidRequest));
        }
    }

    #[test]
    fn segments_are_as_few_as_possible() {
        use AcknowledgeType::{Accept, Gap, Release};
        let each = batch(10, 14, &[1, 1, 2, 2, 0]);
        assert_eq!(each.segments(10, 14), [(10, 11, Accept), (12, 13, Release), (14, 14, Gap)]);
        assert_eq!(each.segments(11, 12), [(11, 11, Accept), (12, 12, Release)]);
        assert_eq!(batch(0, 1 << 40, &[1]).segments(5, 1 << 39), [(5, 1 << 39, Accept)]);
    }
}
