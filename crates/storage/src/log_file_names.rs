//! Names of files and folders, which are Kafka's.

use std::path::{Path, PathBuf};

use ottla_common::{TopicPartition, Uuid};

pub(crate) const LOG_FILE_SUFFIX: &str = ".log";
pub(crate) const INDEX_FILE_SUFFIX: &str = ".index";
pub(crate) const TIME_INDEX_FILE_SUFFIX: &str = ".timeindex";
pub(crate) const TXN_INDEX_FILE_SUFFIX: &str = ".txnindex";
pub(crate) const PRODUCER_SNAPSHOT_FILE_SUFFIX: &str = ".snapshot";
pub(crate) const DELETED_FILE_SUFFIX: &str = ".deleted";
pub(crate) const CLEANED_FILE_SUFFIX: &str = ".cleaned";
pub(crate) const SWAP_FILE_SUFFIX: &str = ".swap";
/// KRaft snapshots marked for deletion; their owner removes them.
pub(crate) const SNAPSHOT_DELETE_SUFFIX: &str = ".checkpoint.deleted";

/// Ends the name of a folder whose partition was deleted.
pub const DELETE_DIR_SUFFIX: &str = "-delete";
/// Ends the name of a folder a partition is being moved to.
pub const FUTURE_DIR_SUFFIX: &str = "-future";
/// Ends the name of a folder nobody claims.
pub const STRAY_DIR_SUFFIX: &str = "-stray";

const MAX_NAME_LEN: usize = 255;

/// `<20 digits><suffix>` in a folder.
pub(crate) fn segment_file(dir: &Path, base_offset: i64, suffix: &str) -> PathBuf {
    dir.join(segment_file_name(base_offset, suffix))
}

pub(crate) fn segment_file_name(base_offset: i64, suffix: &str) -> String {
    format!("{base_offset:020}{suffix}")
}

pub(crate) fn producer_snapshot_file(dir: &Path, offset: i64) -> PathBuf {
    segment_file(dir, offset, PRODUCER_SNAPSHOT_FILE_SUFFIX)
}

/// The number before the first dot.
pub(crate) fn offset_of_file(name: &str) -> Option<i64> {
    let (digits, _) = name.split_once('.')?;
    digits.parse().ok().filter(|offset| *offset >= 0)
}

pub(crate) fn is_index_file(name: &str) -> bool {
    [INDEX_FILE_SUFFIX, TIME_INDEX_FILE_SUFFIX, TXN_INDEX_FILE_SUFFIX].iter().any(|s| name.ends_with(s))
}

/// What a partition's folder is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogDirKind {
    /// The partition's log.
    Current,
    /// A copy that will replace it.
    Future,
    /// To be removed.
    Deleted,
    /// Claimed by nobody.
    Stray,
}

/// Name of a partition's folder.
pub fn log_dir_name(partition: &TopicPartition) -> String {
    partition.to_string()
}

/// Name of the folder of a deleted partition.
pub fn log_delete_dir_name(partition: &TopicPartition, unique: Uuid) -> String {
    suffixed_and_capped(partition, unique, DELETE_DIR_SUFFIX)
}

/// Name of the folder of a partition nobody claims.
pub fn log_stray_dir_name(partition: &TopicPartition, unique: Uuid) -> String {
    suffixed_and_capped(partition, unique, STRAY_DIR_SUFFIX)
}

/// The topic's name is cut where the whole would be longer than a file name may be.
fn suffixed_and_capped(partition: &TopicPartition, unique: Uuid, suffix: &str) -> String {
    let end = format!("-{}.{:032x}{suffix}", partition.partition, unique.as_u128());
    let mut topic: &str = &partition.topic;
    while topic.len() + end.len() > MAX_NAME_LEN {
        let mut chars = topic.chars();
        chars.next_back();
        topic = chars.as_str();
    }
    format!("{topic}{end}")
}

/// Reads the name of a partition's folder.
pub fn parse_log_dir_name(name: &str) -> Option<(TopicPartition, LogDirKind)> {
    let kinds = [
        (DELETE_DIR_SUFFIX, LogDirKind::Deleted),
        (FUTURE_DIR_SUFFIX, LogDirKind::Future),
        (STRAY_DIR_SUFFIX, LogDirKind::Stray),
    ];
    let suffixed = kinds.iter().find_map(|(suffix, kind)| Some((name.strip_suffix(suffix)?, *kind)));
    let (plain, kind) = match suffixed {
        Some((rest, kind)) => {
            let (plain, unique) = rest.rsplit_once('.')?;
            let valid = !unique.is_empty() && !unique.contains(char::is_whitespace);
            (valid.then_some(plain)?, kind)
        }
        None => (name, LogDirKind::Current),
    };
    let (topic, partition) = plain.rsplit_once('-')?;
    let partition: i32 = partition.parse().ok().filter(|p| *p >= 0)?;
    (!topic.is_empty()).then(|| (TopicPartition::new(topic, partition), kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_names_are_read_back() {
        let partition = TopicPartition::new("my-topic.x", 12);
        let id = Uuid::from_u128(77);
        let name = |name: &str| parse_log_dir_name(name);
        assert_eq!(name(&log_dir_name(&partition)), Some((partition.clone(), LogDirKind::Current)));
        let deleted = log_delete_dir_name(&partition, id);
        assert_eq!(deleted, "my-topic.x-12.0000000000000000000000000000004d-delete");
        assert_eq!(name(&deleted), Some((partition.clone(), LogDirKind::Deleted)));
        assert_eq!(name(&log_stray_dir_name(&partition, id)), Some((partition, LogDirKind::Stray)));
        for nonsense in ["", "plain", "-1", "a-", "a-b", "a-1-delete", "a-1.-stray"] {
            assert_eq!(name(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn names_are_cut_to_what_a_folder_may_have() {
        let long = TopicPartition::new("t".repeat(249), 3);
        let name = log_delete_dir_name(&long, Uuid::ONE);
        assert_eq!(name.len(), MAX_NAME_LEN);
        assert!(parse_log_dir_name(&name).is_some());
    }

    #[test]
    fn file_names_hold_the_offset() {
        assert_eq!(segment_file(Path::new("d"), 42, ".log"), Path::new("d/00000000000000000042.log"));
        assert_eq!(offset_of_file("00000000000000000042.log.deleted"), Some(42));
        assert_eq!(offset_of_file("leader-epoch-checkpoint"), None);
        assert_eq!(offset_of_file("00000000000000000042-0000000001.checkpoint"), None);
    }
}
