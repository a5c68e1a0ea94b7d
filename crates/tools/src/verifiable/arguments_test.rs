use super::*;

static PARSER: Parser = Parser {
    program: "verifiable-producer",
    purpose: "p",
    arguments: &[
        Argument::text("--topic", "TOPIC", "").required(),
        Argument::text("--max-messages", "MAX-MESSAGES", "").kind(Kind::Integer).or("-1"),
        Argument::text("--message-create-time", "CREATE-TIME", "").kind(Kind::Long).or("-1"),
        Argument::text("--acks", "ACKS", "").kind(Kind::OneOf(&[0, 1, -1])).or("-1"),
        Argument::text("--group-id", "GROUP-ID", "").required(),
        Argument::flag("--verbose", ""),
    ],
    bootstrap: BOOTSTRAP,
};

fn read(line: &str) -> std::result::Result<Arguments, Refusal> {
    let line = format!("--bootstrap-server b:1 {line}");
    let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
    PARSER.read(&words).map(|given| Arguments { parser: &PARSER, given })
}

fn refusal(line: &str) -> String {
    match read(line) {
        Err(Refusal::Wrong(message)) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn values_defaults_and_beginnings_of_names() {
    let given = read("--top a --top=b --group-id g --max -7 --verbose").unwrap();
    assert_eq!(given.text("--topic"), Some("b"));
    assert_eq!(given.number("--max-messages"), Some(-7));
    assert_eq!(given.number("--message-create-time"), Some(-1));
    assert!(given.has("--verbose") && !given.has("--acks"));
    assert_eq!(given.text("--acks"), Some("-1"));
}

#[test]
fn complaints_are_those_of_the_scripts() {
    assert_eq!(refusal("--topic t"), "argument --group-id is required");
    assert_eq!(refusal("--acks 1"), "argument --group-id is required");
    assert_eq!(refusal("--group-id g"), "argument --topic is required");
    assert_eq!(refusal("--topic"), "argument --topic: expected one argument");
    assert_eq!(refusal("--topic --verbose"), "argument --topic: expected one argument");
    assert_eq!(refusal("--verbose=yes"), "argument --verbose: ignore implicit argument 'yes'");
    assert_eq!(refusal("--topic t x y"), "unrecognized arguments: 'x y'");
    assert_eq!(refusal("--nope=1 --topic t"), "unrecognized arguments: '--nope=1'");
    assert_eq!(refusal("--m 1"), "ambiguous option: --m could match --max-messages, --message-create-time");
    assert_eq!(refusal("--acks 2"), "argument --acks: invalid choice: '2' (choose from {0,1,-1})");
    assert_eq!(
        refusal("--max-messages many"),
        "argument --max-messages: could not convert 'many' to Integer (For input string: \"many\")"
    );
}

#[test]
fn the_cluster_must_be_named() {
    let words = ["--topic".to_owned(), "t".to_owned()];
    let wrong = Refusal::Wrong("one of the arguments --bootstrap-server is required".to_owned());
    assert_eq!(PARSER.read(&words), Err(wrong));
    assert_eq!(PARSER.read(&["--he".to_owned()]), Err(Refusal::Help));
    assert_eq!(PARSER.read(&["-h".to_owned()]), Err(Refusal::Help));
}

#[test]
fn usage_is_folded() {
    let usage = PARSER.usage();
    assert!(
        usage.starts_with("usage: verifiable-producer [-h] --topic TOPIC [--max-messages MAX-MESSAGES]\n")
    );
    assert!(usage.contains(&format!("\n{} [--message-create-time CREATE-TIME]", " ".repeat(26))));
    assert!(usage.ends_with(" --bootstrap-server HOST1:PORT1[,HOST2:PORT2[...]]"));
}
