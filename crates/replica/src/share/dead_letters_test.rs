use ottla_common::ErrorCode;
use ottla_record::DecompressionLimits;

use super::fetch::ShareFetch;
use super::testing::*;

const REJECT: i8 = 3;

/// A member rejects all ten records of the first partition.
async fn rejected(bench: &Bench) {
    bench.configure(|settings| settings.partition.dead_letter_queue = true);
    bench.append(0, 10);
    assert_eq!(acquired(&bench.fetch(&bench.request("a")).await), [(0, 0, 9, 1)]);
    assert_eq!(bench.acknowledge("a", 0, 9, REJECT).await, Ok(()));
}

/// Offsets that the letters tell of, and whether they have values.
fn letters(bench: &Bench) -> Vec<(i64, bool)> {
    let produced = bench.sink.produced.lock().unwrap();
    let mut letters = Vec::new();
    for (_, records) in produced.iter() {
        for record in records.records(DecompressionLimits::default()) {
            let record = record.unwrap();
            let header = record.headers.iter().find(|header| header.key == "__dlq.errors.offset").unwrap();
            let offset = String::from_utf8(header.value.clone().unwrap().to_vec()).unwrap();
            letters.push((offset.parse().unwrap(), record.value.is_some()));
        }
    }
    letters
}

fn all(copied: bool) -> Vec<(i64, bool)> {
    (0..10).map(|offset| (offset, copied)).collect()
}

/// Everything is archived and written so, whatever became of the letters.
async fn is_archived(bench: &Bench) -> bool {
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    let hosted = bench.manager.get(GROUP, &bench.id(0)).unwrap();
    hosted.lock().kernel.start_offset() == 10 && bench.persister.writes.lock().unwrap().len() == 2
}

#[tokio::test(start_paused = true)]
async fn rejected_records_go_to_the_queue_with_their_values() {
    let bench = Bench::new();
    rejected(&bench).await;
    assert!(is_archived(&bench).await);
    assert_eq!(letters(&bench), all(true));
    assert_eq!(bench.sink.produced.lock().unwrap()[0].0.to_string(), "dlq.avisos-0");
    let again = bench.fetch(&ShareFetch { max_wait_ms: 10, ..bench.request("b") }).await;
    assert!(acquired(&again).is_empty());
}

#[tokio::test(start_paused = true)]
async fn copies_are_left_out_if_the_group_does_not_want_them() {
    let bench = Bench::new();
    bench.sink.target.lock().unwrap().copy_records = false;
    rejected(&bench).await;
    assert!(is_archived(&bench).await);
    assert_eq!(letters(&bench), all(false));
}

#[tokio::test(start_paused = true)]
async fn letters_that_do_not_fit_into_one_message_go_in_several() {
    let bench = Bench::new();
    bench.sink.target.lock().unwrap().max_message_bytes = 900;
    rejected(&bench).await;
    assert!(is_archived(&bench).await);
    assert_eq!(letters(&bench), all(true));
    assert!(bench.sink.produced.lock().unwrap().len() > 1);
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_tried_again() {
    let bench = Bench::new();
    {
        let mut target = bench.sink.target.lock().unwrap();
        (target.num_partitions, target.enabled) = (None, false);
    }
    bench.sink.create_errors.lock().unwrap().push_back(ErrorCode::RequestTimedOut);
    bench.sink.produce_errors.lock().unwrap().push_back(ErrorCode::NotLeaderOrFollower);
    rejected(&bench).await;
    assert!(is_archived(&bench).await);
    assert_eq!(letters(&bench), all(true));
}

#[tokio::test(start_paused = true)]
async fn records_are_archived_without_a_letter_too() {
    let spoil: [fn(&Bench); 4] = [
        |bench| bench.sink.produce_errors.lock().unwrap().push_back(ErrorCode::MessageTooLarge),
        |bench| bench.sink.produce_errors.lock().unwrap().extend([ErrorCode::RequestTimedOut; 5]),
        |bench| bench.sink.target.lock().unwrap().name = None,
        |bench| {
            bench.sink.target.lock().unwrap().num_partitions = None;
            bench.sink.create_errors.lock().unwrap().push_back(ErrorCode::PolicyViolation);
        },
    ];
    for spoil in spoil {
        let bench = Bench::new();
        spoil(&bench);
        rejected(&bench).await;
        assert!(is_archived(&bench).await);
        assert!(letters(&bench).is_empty());
    }
}
