use super::*;
use crate::group::modern::testing::TestMetadata;

fn regexes(of: &[&'static str]) -> BTreeSet<ByteString> {
    of.iter().map(|regex| ByteString::from_static(regex)).collect()
}

#[test]
fn an_expression_matches_whole_names() {
    let metadata = TestMetadata::of(&[("pagos", 1), ("pagos-2", 1), ("mis-pagos", 1)]);
    let resolved =
        resolve_regular_expressions(&regexes(&["pagos", "pagos.*", "pa(gos", "x|pagos"]), &metadata, 77);
    let topics = |regex: &str| resolved[regex].topics.iter().map(|t| &**t).collect::<Vec<_>>();
    assert_eq!(topics("pagos"), ["pagos"]);
    assert_eq!(topics("pagos.*"), ["pagos", "pagos-2"]);
    assert_eq!(topics("x|pagos"), ["pagos"], "the whole of each alternative counts");
    assert!(topics("pa(gos").is_empty(), "what cannot be read matches nothing");
    assert_eq!((resolved["pagos"].version, resolved["pagos"].timestamp_ms), (metadata.version, 77));
}

#[test]
fn expressions_have_bounds() {
    let long = "a".repeat(REGEX_MAX_BYTES + 1);
    assert_eq!(compile_topic_regex(&long).unwrap_err(), Re2Error::TooLarge);
    let big = format!("(({}{{1000}}){{1000}}){{1000}}", "a");
    assert!(matches!(compile_topic_regex(&big), Err(Re2Error::Unsupported(_))));
    let unknown_class = compile_topic_regex(r"\p{Klingon}");
    assert!(matches!(unknown_class, Err(Re2Error::Unsupported(_))));
}
