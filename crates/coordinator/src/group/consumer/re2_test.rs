use regex::Regex;

use super::*;

fn matches(pattern: &str, text: &str) -> bool {
    let translated = to_regex(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    let whole = format!(r"\A(?:{translated})\z");
    Regex::new(&whole).unwrap_or_else(|error| panic!("{pattern} as {translated}: {error}")).is_match(text)
}

#[test]
fn what_re2_reads_is_read_the_same() {
    for (pattern, yes, no) in [
        ("pagos", "pagos", "pagosx"),
        ("pagos.*", "pagos-2024", "envios"),
        ("a|b", "b", "ab"),
        ("(a|b)+c", "abac", "c"),
        ("(?P<x>a)(?<y>b)", "ab", "a"),
        ("(?i)PAGOS", "pagos", "envios"),
        ("(?i:PA)gos", "pagos", "paGOS"),
        ("(?i-i)A", "A", "a"),
        ("(?)a", "a", "b"),
        ("()", "", "a"),
        ("a{2}", "aa", "a"),
        ("a{2,}", "aaa", "a"),
        ("a{2,3}?", "aaa", "aaaa"),
        ("a{,3}", "a{,3}", "aaa"),
        ("a{x}", "a{x}", "a"),
        ("a{02}", "a{02}", "aa"),
        (r"\Qa.b\E.", "a.bx", "axbx"),
        (r"\Qa.b", "a.b", "axb"),
        (r"\d+\.\w\-\_", "12.a-_", "12xa-_"),
        (r"\D\S\W", "ab-", "1b-"),
        (r"[[:alpha:]]+[[:^digit:]]", "abc", "ab1"),
        ("[]a]+", "]a]", "b"),
        ("[^]a]", "b", "]"),
        ("[a-c-]", "-", "d"),
        ("[-a]", "-", "b"),
        ("[a&&b]+", "a&b", "c"),
        ("[+--]", ",", "b"),
        ("[[a]", "[", "]"),
        ("[a~~b]", "~", "c"),
        (r"[\d\-x]", "-", "y"),
        (r"\x41\x{42}\101\012", "ABA\n", "AB"),
        (r"\pL\p{Lu}\PL", "aA1", "aa1"),
        (r"\p{^Lu}", "a", "A"),
        (r"\Aa\z", "a", "b"),
        ("a b#c", "a b#c", "abc"),
        ("ñ", "ñ", "n"),
        (r"\ñ", "ñ", "n"),
        ("a*{", "aa{", "aa"),
    ] {
        assert!(matches(pattern, yes), "{pattern} matches {yes}");
        assert!(!matches(pattern, no), "{pattern} does not match {no}");
    }
}

#[test]
fn what_re2_refuses_is_refused() {
    use Re2Error::*;
    for (pattern, error) in [
        ("(", MissingParenthesis),
        ("a)", UnexpectedParenthesis),
        ("a)(b", UnexpectedParenthesis),
        ("[a", MissingBracket),
        ("[", MissingBracket),
        ("[b-a]", InvalidClass),
        (r"[a-\d]", InvalidEscape),
        ("[[:nada:]]", InvalidClass),
        (r"\", TrailingBackslash),
        (r"\1", InvalidEscape),
        (r"\8", InvalidEscape),
        (r"\C", InvalidEscape),
        (r"\Z", InvalidEscape),
        (r"\h", InvalidEscape),
        (r"\u0041", InvalidEscape),
        (r"\x4", InvalidEscape),
        (r"\x{110000}", InvalidEscape),
        (r"\pñ", InvalidClass),
        ("(?=a)", InvalidGroup),
        ("(?!a)", InvalidGroup),
        ("(?<=a)", InvalidName),
        ("(?>a)", InvalidGroup),
        ("(?x)a", InvalidGroup),
        ("(?u)a", InvalidGroup),
        ("(?i-)a", InvalidGroup),
        ("(?i", InvalidGroup),
        ("(?P<a>x)(?P<a>y)", InvalidName),
        ("(?P<>x)", InvalidName),
        ("(?P<a-b>x)", InvalidName),
        ("*", MissingRepeatArgument),
        ("(*)", MissingRepeatArgument),
        ("a|*", MissingRepeatArgument),
        ("{2}", MissingRepeatArgument),
        ("a**", NestedRepeat),
        ("a++", NestedRepeat),
        ("a{2}{3}", NestedRepeat),
        ("a{*", NestedRepeat),
        ("{{2}", NestedRepeat),
        ("a{1001}", InvalidRepeat),
        ("a{3,2}", InvalidRepeat),
    ] {
        assert_eq!(to_regex(pattern), Err(error), "{pattern}");
    }
}

#[test]
fn depth_has_a_bound() {
    let deep = |depth| format!("{}{}", "(".repeat(depth), ")".repeat(depth));
    assert!(matches(&deep(MAX_DEPTH), ""));
    assert_eq!(to_regex(&deep(MAX_DEPTH + 1)), Err(Re2Error::NestsTooDeeply));
}

proptest::proptest! {
    #[test]
    fn nothing_makes_it_panic(pattern in r"[ab0-9\\\[\](){}*+?|.^$:\-,=<>ipPQExdw&~]{0,24}") {
        if let Ok(translated) = to_regex(&pattern) {
            let _ = Regex::new(&format!(r"\A(?:{translated})\z"));
        }
    }

    #[test]
    fn a_quoted_text_matches_itself(text in "[ -\\[\\]-~]{0,20}") {
        let quoted = format!(r"\Q{text}\E");
        proptest::prop_assert!(matches(&quoted, &text));
    }
}
