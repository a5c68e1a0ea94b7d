use std::sync::atomic::{AtomicU64, Ordering};

/// Proof that the transaction coordinator was asked about a partition before its first transactional
/// write (KIP-890). Each is unique, so that an answer for an earlier transaction is not taken for one
/// for the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerificationGuard(u64);

static NEXT: AtomicU64 = AtomicU64::new(1);

impl VerificationGuard {
    /// No proof, or none needed.
    pub const SENTINEL: Self = Self(0);

    pub(crate) fn new() -> Self {
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Whether a request's guard is this one. The sentinel proves nothing.
    pub fn verify(self, request: Self) -> bool {
        request != Self::SENTINEL && self == request
    }
}

/// A verification under way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct VerificationStateEntry {
    pub(crate) guard: VerificationGuard,
    pub(crate) created_ms: i64,
    /// Lowest sequence seen while verifying: no later one may enter the log first.
    pub(crate) lowest_sequence: i32,
    pub(crate) epoch: i16,
    /// Whether the producer's epoch is bumped at the end of each transaction (transactions V2).
    pub(crate) supports_epoch_bump: bool,
}

impl VerificationStateEntry {
    pub(crate) fn new(created_ms: i64, sequence: i32, epoch: i16, supports_epoch_bump: bool) -> Self {
        let guard = VerificationGuard::new();
        Self { guard, created_ms, lowest_sequence: sequence, epoch, supports_epoch_bump }
    }

    pub(crate) fn update_lowest_sequence_and_epoch(&mut self, sequence: i32, epoch: i16) {
        if epoch > self.epoch {
            self.epoch = epoch;
            self.lowest_sequence = sequence;
        } else if epoch == self.epoch {
            self.lowest_sequence = self.lowest_sequence.min(sequence);
        }
    }
}
