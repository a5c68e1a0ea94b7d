use std::collections::BTreeMap;

/// A range of records that went the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateBatch {
    /// The first of the records.
    pub first_offset: i64,
    /// The last of the records.
    pub last_offset: i64,
    /// 0 available, 2 acknowledged, 4 archived.
    pub delivery_state: i8,
    /// How often the records were handed out.
    pub delivery_count: i16,
}

/// What decides between two claims to the same record: the claim of more deliveries is the newer one.
/// Among as many deliveries the higher state wins: what is settled does not become available again.
type Priority = (i16, i8);

impl StateBatch {
    fn priority(&self) -> Priority {
        (self.delivery_count, self.delivery_state)
    }
}

/// Lays newer batches over older ones: the shortest list of batches without overlap, in order of
/// offsets, that says of each record what its strongest claim says. Records below `start_offset`
/// are left out; -1 keeps all.
pub fn combine(so_far: &[StateBatch], newer: &[StateBatch], start_offset: i64) -> Vec<StateBatch> {
    let edges = edges(so_far.iter().chain(newer), start_offset);
    let mut combined = Vec::with_capacity(so_far.len() + newer.len());
    // How many batches make each claim at the place where the sweep stands.
    let mut claims: BTreeMap<Priority, usize> = BTreeMap::new();
    let mut from = i64::MIN;
    for (offset, opens, priority) in edges {
        if offset > from {
            if let Some((winner, _)) = claims.last_key_value() {
                append(&mut combined, from, offset - 1, *winner);
            }
            from = offset;
        }
        let count = claims.get(&priority).copied().unwrap_or(0);
        let count = if opens { count + 1 } else { count.saturating_sub(1) };
        if count == 0 {
            claims.remove(&priority);
        } else {
            claims.insert(priority, count);
        }
    }
    assert!(claims.is_empty(), "SHARE-STATE-EDGES-PAIRED");
    combined
}

/// Where claims begin, and the offset behind where they end; ends come before beginnings.
fn edges<'a>(batches: impl Iterator<Item = &'a StateBatch>, start_offset: i64) -> Vec<(i64, bool, Priority)> {
    let mut edges = Vec::new();
    for batch in batches {
        let first_offset = match start_offset {
            -1 => batch.first_offset,
            start_offset => batch.first_offset.max(start_offset),
        };
        // A batch that ends before it begins claims nothing, and no record has the largest offset.
        if first_offset > batch.last_offset || batch.last_offset == i64::MAX {
            continue;
        }
        edges.push((first_offset, true, batch.priority()));
        edges.push((batch.last_offset + 1, false, batch.priority()));
    }
    edges.sort_unstable();
    edges
}

fn append(combined: &mut Vec<StateBatch>, first_offset: i64, last_offset: i64, priority: Priority) {
    if let Some(tail) = combined.last_mut() {
        assert!(tail.last_offset < first_offset, "SHARE-STATE-BATCHES-DISJOINT: {first_offset}");
        if tail.last_offset + 1 == first_offset && tail.priority() == priority {
            tail.last_offset = last_offset;
            return;
        }
    }
    let (delivery_count, delivery_state) = priority;
    combined.push(StateBatch { first_offset, last_offset, delivery_state, delivery_count });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(first_offset: i64, last_offset: i64, delivery_state: i8, delivery_count: i16) -> StateBatch {
        StateBatch { first_offset, last_offset, delivery_state, delivery_count }
    }

    #[test]
    fn neighbours_of_one_kind_become_one() {
        let so_far = [batch(10, 19, 0, 1)];
        assert_eq!(combine(&so_far, &[batch(20, 29, 0, 1)], -1), vec![batch(10, 29, 0, 1)]);
        assert_eq!(
            combine(&so_far, &[batch(20, 29, 0, 2)], -1),
            vec![batch(10, 19, 0, 1), batch(20, 29, 0, 2)]
        );
        assert_eq!(
            combine(&so_far, &[batch(21, 29, 0, 1)], -1),
            vec![batch(10, 19, 0, 1), batch(21, 29, 0, 1)]
        );
    }

    #[test]
    fn more_deliveries_win_and_then_the_higher_state() {
        let combined = combine(&[batch(10, 19, 2, 1)], &[batch(12, 14, 0, 2)], -1);
        assert_eq!(combined, vec![batch(10, 11, 2, 1), batch(12, 14, 0, 2), batch(15, 19, 2, 1)]);
        let combined = combine(&[batch(10, 19, 0, 1)], &[batch(15, 25, 2, 1)], -1);
        assert_eq!(combined, vec![batch(10, 14, 0, 1), batch(15, 25, 2, 1)]);
        let combined = combine(&[batch(10, 19, 4, 3)], &[batch(5, 30, 0, 1)], -1);
        assert_eq!(combined, vec![batch(5, 9, 0, 1), batch(10, 19, 4, 3), batch(20, 30, 0, 1)]);
    }

    #[test]
    fn what_lies_below_the_start_offset_is_cut_off() {
        let so_far = [batch(0, 9, 2, 1), batch(10, 19, 0, 1)];
        assert_eq!(combine(&so_far, &[], 15), vec![batch(15, 19, 0, 1)]);
        assert_eq!(combine(&so_far, &[batch(18, 22, 0, 2)], 20), vec![batch(20, 22, 0, 2)]);
        assert_eq!(combine(&so_far, &[], 20), vec![]);
        assert_eq!(combine(&so_far, &[], -1), so_far);
    }

    #[test]
    fn batches_that_cannot_be_claim_nothing() {
        let wrong = [batch(9, 3, 0, 1), batch(5, i64::MAX, 2, 1)];
        assert_eq!(combine(&[batch(1, 2, 0, 1)], &wrong, -1), vec![batch(1, 2, 0, 1)]);
    }
}
