use super::*;
use crate::group::modern::testing::TestMetadata;

fn hash_of(metadata: &TestMetadata, topics: &[&'static str]) -> i64 {
    let names: Vec<_> = topics.iter().map(|name| ByteString::from_static(name)).collect();
    metadata_hash(&names, metadata)
}

#[test]
fn the_hash_function_is_the_published_one() {
    assert_eq!(XxHash3_64::oneshot(b""), 0x2d06_8005_38d3_94c2);
}

#[test]
fn text_is_utf16_with_its_length_behind_it() {
    let mut input = HashInput::default();
    input.text("aé");
    assert_eq!(input.0, [b'a', 0, 0xe9, 0, 2, 0, 0, 0]);
}

#[test]
fn nothing_hashes_to_zero() {
    let metadata = TestMetadata::of(&[]);
    assert_eq!(hash_of(&metadata, &[]), 0);
    assert_eq!(hash_of(&metadata, &["pagos"]), 0, "topics that do not exist do not count");
}

#[test]
fn the_hash_changes_with_what_matters() {
    let mut metadata = TestMetadata::of(&[("pagos", 3), ("envios", 2)]);
    let before = hash_of(&metadata, &["envios", "pagos"]);
    assert_eq!(hash_of(&metadata, &["envios", "nada", "pagos"]), before);
    metadata.put(0, "pagos", 4);
    let more_partitions = hash_of(&metadata, &["envios", "pagos"]);
    assert_ne!(before, more_partitions);
    metadata.set_racks(0, 1, &["b", "a"]);
    let racks = hash_of(&metadata, &["envios", "pagos"]);
    assert_ne!(more_partitions, racks);
    metadata.set_racks(0, 1, &["a", "b"]);
    assert_eq!(hash_of(&metadata, &["envios", "pagos"]), racks, "the order of replicas does not matter");
    metadata.set_racks(0, 1, &["ab"]);
    assert_ne!(hash_of(&metadata, &["envios", "pagos"]), racks);
    metadata.put(7, "pagos", 4);
    assert_ne!(hash_of(&metadata, &["envios", "pagos"]), racks, "a topic made anew is another");
}
