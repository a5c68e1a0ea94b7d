//! What can be asked of the transaction coordinator, one file each.

mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod describe_transactions;
mod end_txn;
mod expiration;
mod init_producer_id;
mod list_transactions;
mod write_txn_markers;

pub use add_offsets_to_txn::add_offsets_error;
pub use add_partitions_to_txn::{normalize_request, result_for_transaction};
pub use end_txn::end_txn_error;
pub use init_producer_id::init_producer_id_error;
pub use list_transactions::unknown_state_filters;
