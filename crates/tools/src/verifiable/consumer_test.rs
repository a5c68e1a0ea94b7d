use bytes::Bytes;
use ottla_record::TimestampType;

use super::*;

fn settings(line: &str) -> Result<Settings> {
    let line = format!("--bootstrap-server b:1 --topic t --group-id g {line}");
    let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
    Settings::read(&PARSER.parse(&words)?)
}

fn partitions(numbers: &[i32]) -> Vec<TopicPartition> {
    numbers.iter().map(|number| TopicPartition::new("t", *number)).collect()
}

fn names(events: &[Event]) -> Vec<String> {
    events.iter().map(Event::after_timestamp).collect()
}

fn told(name: &str, numbers: &[i32]) -> String {
    let objects: Vec<_> =
        numbers.iter().map(|number| format!(r#"{{"topic":"t","partition":{number}}}"#)).collect();
    format!(r#""name":"{name}","partitions":[{}]"#, objects.join(","))
}

fn record(partition: i32, offset: i64) -> ConsumerRecord {
    ConsumerRecord {
        topic: "t".into(),
        partition,
        offset,
        timestamp: 0,
        timestamp_type: TimestampType::CreateTime,
        leader_epoch: None,
        key: None,
        value: Some(Bytes::from_static(b"v")),
        headers: Vec::new(),
        delivery_count: None,
    }
}

#[test]
fn each_protocol_has_its_settings() {
    let classic = settings("--session-timeout 7000 --group-remote-assignor range").unwrap();
    assert!(classic.eager && !classic.auto_commit);
    let get = |key: &str| classic.config.get(key).map(str::to_owned);
    assert_eq!(get("group.protocol").as_deref(), Some("classic"));
    assert_eq!(
        get("partition.assignment.strategy").as_deref(),
        Some("org.apache.kafka.clients.consumer.RangeAssignor")
    );
    assert_eq!(get("session.timeout.ms").as_deref(), Some("7000"));
    assert_eq!((get("group.remote.assignor"), get("enable.auto.commit")), (None, Some("false".to_owned())));
    assert_eq!(get("auto.offset.reset").as_deref(), Some("earliest"));

    let modern = settings("--group-protocol Consumer --group-remote-assignor range").unwrap();
    assert!(!modern.eager);
    assert_eq!(modern.config.get("group.remote.assignor"), Some("range"));
    assert_eq!(modern.config.get("partition.assignment.strategy"), None);
    assert!(settings("--group-protocol modern").is_err());
}

#[test]
fn limits_and_timeouts() {
    let plain = settings("").unwrap();
    assert_eq!((plain.max_messages, plain.close_timeout), (None, Duration::from_secs(30)));
    let limited = settings("--max-messages 3 --close-timeout 5 --verbose --enable-autocommit").unwrap();
    assert_eq!((limited.max_messages, limited.close_timeout), (Some(3), Duration::from_millis(5)));
    assert!(limited.verbose && limited.auto_commit);
}

#[test]
fn the_classic_protocol_takes_everything_before_it_gives() {
    let mut membership = Membership::new(true);
    let first = membership.changed(1, partitions(&[0, 1]));
    assert_eq!(names(&first), [told("partitions_assigned", &[0, 1])]);
    assert!(membership.changed(1, partitions(&[0, 1])).is_empty());
    let second = membership.changed(2, partitions(&[1]));
    assert_eq!(names(&second), [told("partitions_revoked", &[0, 1]), told("partitions_assigned", &[1])]);
    let third = membership.changed(3, Vec::new());
    assert_eq!(names(&third), [told("partitions_revoked", &[1]), told("partitions_assigned", &[])]);
    let fourth = membership.changed(4, partitions(&[0]));
    assert_eq!(names(&fourth), [told("partitions_revoked", &[]), told("partitions_assigned", &[0])]);
    assert_eq!(names(&membership.left()), [told("partitions_revoked", &[0])]);
    assert!(membership.left().is_empty());
}

#[test]
fn the_consumer_protocol_tells_only_what_changes() {
    let mut membership = Membership::new(false);
    assert_eq!(names(&membership.changed(1, Vec::new())), [told("partitions_assigned", &[])]);
    assert_eq!(names(&membership.changed(2, partitions(&[0, 1]))), [told("partitions_assigned", &[0, 1])]);
    let moved = membership.changed(3, partitions(&[1, 2]));
    assert_eq!(names(&moved), [told("partitions_revoked", &[0]), told("partitions_assigned", &[2])]);
}

#[test]
fn lost_partitions_are_told_once() {
    for eager in [true, false] {
        let mut membership = Membership::new(eager);
        membership.changed(1, partitions(&[0]));
        assert_eq!(names(&membership.changed(1, Vec::new())), [told("partitions_revoked", &[0])]);
        assert_eq!(names(&membership.changed(2, partitions(&[0]))), [told("partitions_assigned", &[0])]);
    }
}

#[test]
fn records_are_summed_up_and_told_one_by_one_when_asked() {
    let records = [record(0, 4), record(1, 9), record(0, 6)];
    let (events, offsets) = Tally::new(None, false).take(&records);
    let summary = concat!(
        r#""name":"records_consumed","count":3,"partitions":["#,
        r#"{"topic":"t","partition":0,"count":2,"minOffset":4,"maxOffset":6},"#,
        r#"{"topic":"t","partition":1,"count":1,"minOffset":9,"maxOffset":9}]"#
    );
    assert_eq!(names(&events), [summary]);
    let next: Vec<_> = offsets.iter().map(|(tp, offset)| (tp.partition, offset.offset)).collect();
    assert_eq!(next, [(0, 7), (1, 10)]);
    let (events, _) = Tally::new(None, true).take(&records[..1]);
    let each = r#""name":"record_data","key":null,"value":"v","topic":"t","partition":0,"offset":4"#;
    assert_eq!(names(&events)[0], each);
}

#[test]
fn no_more_than_the_limit_is_committed() {
    let mut tally = Tally::new(Some(2), false);
    let (events, offsets) = tally.take(&[record(0, 0), record(0, 1), record(0, 2), record(1, 0)]);
    assert!(tally.finished());
    let next: Vec<_> = offsets.iter().map(|(tp, offset)| (tp.partition, offset.offset)).collect();
    assert_eq!(next, [(0, 2)]);
    assert!(names(&events)[0].starts_with(r#""name":"records_consumed","count":4,"#));
}

#[test]
fn commits_tell_their_error() {
    let offsets = BTreeMap::from([(TopicPartition::new("t", 1), OffsetAndMetadata::from(8))]);
    let fine = offsets_committed(&offsets, None).after_timestamp();
    let list = r#""name":"offsets_committed","offsets":[{"topic":"t","partition":1,"offset":8}]"#;
    assert_eq!(fine, format!(r#"{list},"success":true"#));
    let error = ClientError::api("commit", ErrorCode::IllegalGeneration, Some("too late"));
    let refused = offsets_committed(&offsets, Some(&error)).after_timestamp();
    assert_eq!(refused, format!(r#"{list},"error":"too late","success":false"#));
}
