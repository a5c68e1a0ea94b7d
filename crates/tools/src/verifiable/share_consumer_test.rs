use bytes::Bytes;
use ottla_common::ErrorCode;
use ottla_record::TimestampType;

use super::*;

fn settings(line: &str) -> Result<Settings> {
    let line = format!("--bootstrap-server b:1 --topic envios --group-id g {line}");
    let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
    Settings::read(&PARSER.parse(&words)?)
}

fn record(offset: i64) -> ConsumerRecord {
    ConsumerRecord {
        topic: "envios".into(),
        partition: 0,
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

fn partition() -> TopicPartition {
    TopicPartition::new("envios", 0)
}

#[test]
fn without_a_pattern_the_consumer_acknowledges_by_itself() {
    let settings = settings("").unwrap();
    assert_eq!((settings.mode, settings.offset_reset, settings.max_messages), (Mode::Auto, None, None));
    assert_eq!(settings.config.get("share.acknowledgement.mode"), None);
    assert_eq!(settings.config.get("group.id"), Some("g"));
    assert_eq!(settings.admin_config.get("group.id"), None);
}

#[test]
fn a_pattern_needs_a_mode_and_an_end() {
    let explicit = settings("--ack-pattern accept,Release --acknowledgement-mode SYNC").unwrap();
    assert_eq!(explicit.pattern, [AcknowledgeType::Accept, AcknowledgeType::Release]);
    assert_eq!(explicit.config.get("share.acknowledgement.mode"), Some("explicit"));
    assert!(settings("--ack-pattern accept").is_err());
    assert!(settings("--ack-pattern renew,renew --acknowledgement-mode sync").is_err());
    assert!(settings("--ack-pattern forget --acknowledgement-mode sync").is_err());
    assert!(settings("--acknowledgement-mode never").is_err());
}

#[test]
fn what_came_is_told_by_partition() {
    let events = received(&[record(3), record(1)], true);
    let lines: Vec<_> = events.iter().map(Event::after_timestamp).collect();
    let each = r#""name":"record_data","key":null,"value":"v","topic":"envios","partition":0,"offset":3"#;
    assert_eq!(lines[0], each);
    let summary = concat!(
        r#""name":"records_consumed","count":2,"partitions":["#,
        r#"{"topic":"envios","partition":0,"count":2,"offsets":[1,3]}]"#
    );
    assert_eq!(lines[2], summary);
}

#[test]
fn the_offset_chooses_and_renewal_moves_on() {
    use AcknowledgeType::{Accept, Release, Renew};
    let mut acknowledgements = Acknowledgements::new(vec![Renew, Accept, Release]);
    let mut round = |offset: i64| {
        let chosen = acknowledgements.choose(&record(offset)).unwrap();
        let told = acknowledgements.committed(&partition(), &[(offset, offset)], None).after_timestamp();
        assert!(told.contains(r#""success":true,"ackTypeCounts":{""#), "{told}");
        chosen
    };
    assert_eq!([round(0), round(0)], [Renew, Accept]);
    assert_eq!(round(0), Renew, "what is done is forgotten");
    assert_eq!([round(5), round(5)], [Release, Release]);
    assert_eq!(acknowledgements.total, 5);
}

#[test]
fn refused_acknowledgements_do_not_count() {
    let mut acknowledgements = Acknowledgements::new(Vec::new());
    assert_eq!(acknowledgements.choose(&record(4)), None);
    let error = ClientError::api("acknowledge", ErrorCode::InvalidRecordState, Some("too late"));
    let ranges = [(2, 2), (4, 5)];
    let told = acknowledgements.committed(&partition(), &ranges, Some(&error)).after_timestamp();
    let list = concat!(
        r#""name":"offsets_acknowledged","count":3,"partitions":["#,
        r#"{"topic":"envios","partition":0,"count":3,"offsets":[2,4,5]}]"#
    );
    assert_eq!(told, format!(r#"{list},"success":false,"error":"too late""#));
    assert_eq!(acknowledgements.total, 0);
    let told = acknowledgements.committed(&partition(), &ranges, None).after_timestamp();
    assert_eq!(told, format!(r#"{list},"success":true"#));
    assert_eq!(acknowledgements.total, 3);
}

#[test]
fn a_renewal_that_is_refused_moves_on_all_the_same() {
    use AcknowledgeType::{Accept, Renew};
    let mut acknowledgements = Acknowledgements::new(vec![Renew, Accept]);
    let error = ClientError::api("acknowledge", ErrorCode::InvalidRecordState, None);
    assert_eq!(acknowledgements.choose(&record(0)), Some(Renew));
    acknowledgements.committed(&partition(), &[(0, 0)], Some(&error));
    assert_eq!(acknowledgements.choose(&record(0)), Some(Accept));
}

#[test]
fn wide_ranges_are_cut() {
    let mut acknowledgements = Acknowledgements::new(Vec::new());
    acknowledgements.committed(&partition(), &[(0, i64::MAX)], None);
    assert_eq!(acknowledgements.total, RANGE_MAX);
}

#[test]
fn types_are_counted_in_a_fixed_order() {
    use AcknowledgeType::{Accept, Reject, Release, Renew};
    let counted = counts(&[Release, Accept, Reject, Renew, Accept]).to_string();
    assert_eq!(counted, r#"{"ACCEPT":2,"REJECT":1,"RENEW":1,"RELEASE":1}"#);
}
