//! Transactions: records and offsets that readers see all together, or not at all (KIP-98).
//!
//! [`TransactionManager`] decides, [`driver`] asks the coordinators, [`api`] is what applications
//! call. Since `transaction.version` 2 partitions and groups add themselves to the transaction and
//! every transaction has an epoch of its own (KIP-890).

mod answers;
mod api;
mod driver;
mod manager;
#[cfg(test)]
mod manager_test;
mod requests;
mod severity;
mod step;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytestring::ByteString;
use tokio::sync::Notify;

pub(crate) use self::manager::TransactionManager;
pub(crate) use self::step::Verdict;

/// What the application, the sender and the driver share of a transactional producer.
///
/// Where the accumulator is locked too, it is locked first: whether all records of a transaction
/// are answered and whether it may end are decided in one go.
#[derive(Debug)]
pub(crate) struct Transactions {
    pub(crate) id: ByteString,
    /// `transaction.timeout.ms`.
    pub(crate) timeout: Duration,
    manager: Mutex<TransactionManager>,
    /// There may be something to ask.
    pub(crate) wakeup: Notify,
    /// Something was answered.
    progress: Notify,
}

impl Transactions {
    pub(crate) fn new(id: ByteString, timeout: Duration) -> Self {
        Self {
            id,
            timeout,
            manager: Mutex::new(TransactionManager::new()),
            wakeup: Notify::new(),
            progress: Notify::new(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, TransactionManager> {
        self.manager.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
