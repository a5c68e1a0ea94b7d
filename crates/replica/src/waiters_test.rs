use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;

use super::*;

/// Bytes of a record in these logs.
const RECORD: i64 = 10;

/// A log, as far as those who wait know it.
#[derive(Default)]
struct Log {
    end: Cell<i64>,
    is_closed: Cell<bool>,
    waiters: Waiters,
}

impl Log {
    fn at(&self) -> LogOffsetSnapshot {
        let end = place(self.end.get());
        LogOffsetSnapshot {
            log_start_offset: 0,
            log_end_offset: end,
            high_watermark: end,
            last_stable_offset: end,
        }
    }

    fn park(&self, parked: &Arc<Parked>, wish: Wish) -> Place {
        self.waiters.park(parked, wish, || (!self.is_closed.get()).then(|| self.at()))
    }

    fn append(&self) {
        self.end.set(self.end.get() + 1);
    }
}

fn place(offset: i64) -> LogOffsetMetadata {
    LogOffsetMetadata::at(offset, 0, (offset * RECORD) as u64)
}

fn bytes_from(offset: i64, max_bytes: u32) -> Wish {
    Wish::Bytes { start: place(offset), isolation: FetchIsolation::HighWatermark, max_bytes }
}

/// Whether a request that waits now would be woken without anything else happening.
fn is_awake(parked: &Parked) -> bool {
    let notified = pin!(parked.enough.notified());
    matches!(notified.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(()))
}

/// What threads do between two moments at which others may come in: all of it under one lock or on one word.
#[derive(Debug, Clone, Copy)]
enum Step {
    Append(usize),
    Close(usize),
    TellOfTheLog(usize),
    TellOfTheEnd(usize),
    Park(usize),
}

/// Runs every order in which the steps of several threads can come.
fn every_order(threads: &[&[Step]], order: &mut Vec<Step>, run: &mut impl FnMut(&[Step])) {
    if threads.iter().all(|steps| steps.is_empty()) {
        return run(order);
    }
    for (i, steps) in threads.iter().enumerate() {
        if let Some((first, rest)) = steps.split_first() {
            let mut threads = threads.to_vec();
            threads[i] = rest;
            order.push(*first);
            every_order(&threads, order, run);
            order.pop();
        }
    }
}

/// A request for so much of two logs; says whether it is awake when all have done their steps.
fn is_awake_after(order: &[Step], needed: i64) -> bool {
    let logs = [Log::default(), Log::default()];
    let parked = Arc::new(Parked::new(needed));
    let mut places = Vec::new();
    for step in order {
        match *step {
            Step::Append(i) => logs[i].append(),
            Step::Close(i) => logs[i].is_closed.set(true),
            Step::TellOfTheLog(i) => logs[i].waiters.moved(|| logs[i].at()),
            Step::TellOfTheEnd(i) => logs[i].waiters.give_up(),
            Step::Park(i) => places.push((i, logs[i].park(&parked, bytes_from(0, 1_000)))),
        }
    }
    places.into_iter().for_each(|(i, place)| logs[i].waiters.leave(&parked, place));
    assert_eq!(is_awake(&parked), parked.has_enough(), "{order:?}");
    parked.has_enough()
}

#[test]
fn park_then_look_loses_no_wake_in_any_order() {
    use Step::*;
    let threads: [&[Step]; 3] = [
        &[Append(0), TellOfTheLog(0), Append(1), TellOfTheLog(1)],
        &[Append(0), TellOfTheLog(0)],
        &[Park(0), Park(1)],
    ];
    let mut orders = 0;
    every_order(&threads, &mut Vec::new(), &mut |order| {
        orders += 1;
        assert!(is_awake_after(order, 1), "{order:?}");
        assert!(is_awake_after(order, 3 * RECORD), "{order:?}");
        assert!(!is_awake_after(order, 3 * RECORD + 1), "{order:?}");
    });
    assert_eq!(orders, 420);
}

#[test]
fn the_end_of_a_leadership_is_heard_in_any_order() {
    use Step::*;
    let threads: [&[Step]; 3] =
        [&[Close(1), TellOfTheEnd(1)], &[Append(0), TellOfTheLog(0)], &[Park(0), Park(1)]];
    every_order(&threads, &mut Vec::new(), &mut |order| {
        assert!(is_awake_after(order, 1_000_000), "{order:?}");
    });
}

#[test]
fn what_is_told_twice_counts_once() {
    let log = Log::default();
    let parked = Arc::new(Parked::new(2 * RECORD));
    let place = log.park(&parked, bytes_from(0, 1_000));
    log.append();
    for _ in 0..3 {
        log.waiters.moved(|| log.at());
        assert!(!parked.has_enough() && !is_awake(&parked));
    }
    log.append();
    log.waiters.moved(|| log.at());
    assert!(parked.has_enough() && is_awake(&parked));
    log.append();
    log.waiters.moved(|| log.at());
    assert!(!is_awake(&parked), "woken once");
    log.waiters.leave(&parked, place);
}

#[test]
fn readers_are_answered_early_where_waiting_is_in_vain() {
    let at = |start, end: LogOffsetMetadata| LogOffsetSnapshot {
        log_start_offset: start,
        log_end_offset: end,
        high_watermark: end,
        last_stable_offset: end,
    };
    let wish = bytes_from(5, 100);
    assert_eq!(wish.granted(&at(0, place(5))), Some(0));
    assert_eq!(wish.granted(&at(0, place(7))), Some(20));
    assert_eq!(wish.granted(&at(0, place(70))), Some(100), "no more than it takes");
    assert_eq!(wish.granted(&at(0, place(4))), None, "the log was cut");
    assert_eq!(wish.granted(&at(6, place(9))), None, "the log's begin was deleted");
    assert_eq!(wish.granted(&at(0, LogOffsetMetadata::at(6, 6, 0))), None, "a segment behind");
    assert_eq!(wish.granted(&at(0, LogOffsetMetadata::at(5, 5, 0))), Some(0), "a roll is no news");
}

#[test]
fn each_isolation_has_its_bound() {
    let at = LogOffsetSnapshot {
        log_start_offset: 0,
        log_end_offset: place(3),
        high_watermark: place(2),
        last_stable_offset: place(1),
    };
    let granted = |isolation| Wish::Bytes { start: place(0), isolation, max_bytes: 100 }.granted(&at);
    assert_eq!(granted(FetchIsolation::LogEnd), Some(30));
    assert_eq!(granted(FetchIsolation::HighWatermark), Some(20));
    assert_eq!(granted(FetchIsolation::TxnCommitted), Some(10));
    assert_eq!(Wish::Committed { last_offset: 1 }.granted(&at), Some(1));
    assert_eq!(Wish::Committed { last_offset: 2 }.granted(&at), Some(0));
}

#[test]
fn a_list_that_nobody_is_on_takes_no_memory_to_speak_of() {
    let log = Log::default();
    let all: Vec<_> = (0..1_000).map(|_| Arc::new(Parked::new(1))).collect();
    let places: Vec<_> = all.iter().map(|parked| log.park(parked, bytes_from(0, 1))).collect();
    all.iter().zip(places).for_each(|(parked, place)| log.waiters.leave(parked, place));
    assert!(log.waiters.lock().slots.capacity() <= 1);
    assert!(size_of::<Waiters>() <= 48, "there is one for every partition");
}

#[tokio::test]
async fn a_wake_before_the_wait_is_not_lost() {
    let log = Log::default();
    let parked = Arc::new(Parked::new(1));
    log.park(&parked, bytes_from(0, 1));
    log.append();
    log.waiters.moved(|| log.at());
    parked.wait().await;
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Append(usize),
    Tell(usize),
    Park { needed: i64, max_bytes: u32 },
    Leave(usize),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (0..LOGS).prop_map(Act::Append),
        (0..LOGS).prop_map(Act::Tell),
        (1..60_i64, 1..40_u32).prop_map(|(needed, max_bytes)| Act::Park { needed, max_bytes }),
        (0..8_usize).prop_map(Act::Leave),
    ]
}

const LOGS: usize = 3;

/// A request, what it asks for, the ends of the logs when it came, and its places.
struct Model {
    parked: Arc<Parked>,
    needed: i64,
    max_bytes: u32,
    from: [i64; LOGS],
    places: Vec<Place>,
    woken: bool,
}

proptest! {
    /// A request is awake from the moment on at which what it was told of is enough.
    #[test]
    fn requests_are_woken_when_they_have_enough(acts in prop::collection::vec(act(), 0..200)) {
        let logs: [Log; LOGS] = Default::default();
        let mut told = [0; LOGS];
        let mut models: Vec<Model> = Vec::new();
        for act in acts {
            match act {
                Act::Append(i) => logs[i].append(),
                Act::Tell(i) => {
                    logs[i].waiters.moved(|| logs[i].at());
                    told[i] = logs[i].end.get();
                }
                Act::Park { needed, max_bytes } => {
                    let parked = Arc::new(Parked::new(needed));
                    let from = [0, 1, 2].map(|i: usize| logs[i].end.get());
                    let park = |(log, from): (&Log, &i64)| log.park(&parked, bytes_from(*from, max_bytes));
                    let places = logs.iter().zip(&from).map(park).collect();
                    models.push(Model { parked, needed, max_bytes, from, places, woken: false });
                }
                Act::Leave(i) => {
                    if i < models.len() {
                        let Model { parked, places, .. } = models.remove(i);
                        logs.iter().zip(places).for_each(|(log, place)| log.waiters.leave(&parked, place));
                    }
                }
            }
            for model in &mut models {
                let granted = |i: usize| {
                    ((told[i] - model.from[i]).max(0) * RECORD).min(i64::from(model.max_bytes))
                };
                let enough = (0..LOGS).map(granted).sum::<i64>() >= model.needed;
                prop_assert_eq!(model.parked.has_enough(), enough);
                prop_assert_eq!(is_awake(&model.parked), enough && !model.woken);
                model.woken = enough;
            }
            for log in &logs {
                prop_assert_eq!(log.waiters.lock().taken as usize, models.len());
            }
        }
    }
}
