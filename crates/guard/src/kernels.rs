//! What is counted: one function for each hot path, at the versions that today's clients speak.

use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use ottla_common::ErrorCode;
use ottla_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use ottla_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use ottla_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use ottla_protocol::messages::*;
use ottla_protocol::{ApiKey, Message, Payload, Reader};
use ottla_record::{Compression, CompressionType, MemoryRecords, SimpleRecord};

use crate::broker::{Broker, Failure, NOW_MS, TOPICS, WIDE, WIDE_PARTITIONS, frame, topic_id};

type Run = fn(&Path, usize) -> Pin<Box<dyn Future<Output = Result<(), Failure>>>>;

/// A hot path.
pub(crate) struct Kernel {
    /// Its name in the committed figures.
    pub(crate) name: &'static str,
    /// So many turns are enough to tell one from noise.
    pub(crate) turns: usize,
    /// Sets up, takes that many turns.
    pub(crate) run: Run,
}

macro_rules! kernel {
    ($name:literal, $turns:literal, $run:path $(, $input:expr)?) => {
        Kernel {
            name: $name,
            turns: $turns,
            run: |folder, turns| {
                let folder: PathBuf = folder.into();
                Box::pin(async move { $run(&folder, turns $(, $input)?).await })
            },
        }
    };
}

/// All of them.
pub(crate) static KERNELS: &[Kernel] = &[
    kernel!("decode-produce-16k", 4_000, decode_produce),
    kernel!("append-16k", 500, append),
    kernel!("produce-16k", 500, produce, Batch::SIXTEEN_KIB),
    kernel!("produce-1k", 1_000, produce, Batch::ONE_RECORD),
    kernel!("produce-lz4", 500, produce, Batch::LZ4),
    kernel!("fetch-64k", 1_000, fetch),
    kernel!("fetch-100-waiting", 200, fetch_waiting),
    kernel!("metadata-1000-topics", 400, metadata),
    kernel!("group-heartbeat", 1_000, heartbeat),
    kernel!("api-versions", 1_000, api_versions),
];

const PRODUCE: i16 = 13;
const FETCH: i16 = 17;
const METADATA: i16 = 13;
const JOIN_GROUP: i16 = 3;
const SYNC_GROUP: i16 = 3;
const HEARTBEAT: i16 = 4;
const API_VERSIONS: i16 = 4;

/// The topic that is written to, and the one that is read.
const WRITTEN: u128 = 0;
const READ: u128 = 1;

/// Shape of a producer's batch.
#[derive(Clone, Copy)]
struct Batch {
    records: usize,
    value: usize,
    compression: Compression,
}

impl Batch {
    const SIXTEEN_KIB: Self = Self { records: 15, value: 1_024, compression: Compression::NONE };
    const ONE_RECORD: Self = Self { records: 1, value: 1_024, compression: Compression::NONE };
    const LZ4: Self = Self { records: 150, value: 100, compression: Compression::of(CompressionType::Lz4) };

    fn build(self) -> Result<Bytes, Failure> {
        let record = |number: usize| {
            let text: Vec<u8> = (0..self.value).map(|at| b'a' + ((at * at + number) % 23) as u8).collect();
            SimpleRecord::of_value(NOW_MS, text)
        };
        let records: Vec<SimpleRecord> = (0..self.records).map(record).collect();
        Ok(MemoryRecords::with_records(self.compression, &records)?.into_bytes())
    }

    fn request(self) -> Result<ProduceRequest, Failure> {
        let partition = PartitionProduceData { records: Some(self.build()?.into()), ..Default::default() };
        let topic = TopicProduceData {
            topic_id: topic_id(WRITTEN),
            partition_data: vec![partition],
            ..Default::default()
        };
        Ok(ProduceRequest { acks: -1, timeout_ms: 30_000, topic_data: vec![topic], ..Default::default() })
    }
}

async fn decode_produce(_: &Path, turns: usize) -> Result<(), Failure> {
    let frame = frame(&Batch::SIXTEEN_KIB.request()?, PRODUCE)?;
    for _ in 0..turns {
        let mut reader = Reader::new(frame.clone());
        black_box(RequestHeader::decode(&mut reader, ApiKey::Produce.request_header_version(PRODUCE))?);
        black_box(ProduceRequest::decode(&mut reader, PRODUCE)?);
    }
    Ok(())
}

/// Validates a batch and puts it at the end of its log.
async fn append(folder: &Path, turns: usize) -> Result<(), Failure> {
    let broker = Broker::start(folder).await?;
    let partition = broker.partition(WRITTEN)?;
    let batch = Batch::SIXTEEN_KIB.build()?;
    for _ in 0..turns {
        black_box(partition.append(batch.clone(), -1).map_err(|failure| failure.error.name())?);
    }
    Ok(())
}

/// From the frame to the response.
async fn produce(folder: &Path, turns: usize, batch: Batch) -> Result<(), Failure> {
    let broker = Broker::start(folder).await?;
    let request = batch.request()?;
    let answer = broker.ask(&request, PRODUCE).await?;
    expect(answer.responses[0].partition_responses[0].error_code)?;
    answers(&broker, &frame(&request, PRODUCE)?, turns).await
}

/// A fetch of records that are there: everything but the copy from the file to the socket.
async fn fetch(folder: &Path, turns: usize) -> Result<(), Failure> {
    let broker = Broker::start(folder).await?;
    for _ in 0..4 {
        let records = Batch::SIXTEEN_KIB.build()?;
        broker.partition(READ)?.append(records, -1).map_err(|failure| failure.error.name())?;
    }
    let partition = FetchPartition {
        current_leader_epoch: -1,
        last_fetched_epoch: -1,
        log_start_offset: -1,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    let topic = FetchTopic { topic_id: topic_id(READ), partitions: vec![partition], ..Default::default() };
    let request = FetchRequest {
        max_wait_ms: 500,
        min_bytes: 1,
        max_bytes: 52_428_800,
        session_epoch: -1,
        topics: vec![topic],
        ..Default::default()
    };
    let frame = frame(&request, FETCH)?;
    let size = |part: &Payload| match part {
        Payload::Bytes(_) => 0,
        Payload::Records(records) => records.size_in_bytes(),
    };
    if broker.answer(frame.clone()).await?.iter().map(size).sum::<usize>() < 60_000 {
        return Err("too few records were fetched".into());
    }
    answers(&broker, &frame, turns).await
}

/// A fetch of a hundred partitions that waits until one record is appended to one of them, and that append.
async fn fetch_waiting(folder: &Path, turns: usize) -> Result<(), Failure> {
    let broker = Broker::start(folder).await?;
    let (partition, records) = (broker.partition(WIDE)?, Batch::ONE_RECORD.build()?);
    let wanted = |index| FetchPartition {
        partition: index,
        fetch_offset: if index == 0 { MARK } else { 0 },
        current_leader_epoch: -1,
        last_fetched_epoch: -1,
        log_start_offset: -1,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    let partitions = (0..WIDE_PARTITIONS).map(wanted).collect();
    let request = FetchRequest {
        max_wait_ms: 60_000,
        min_bytes: 1,
        max_bytes: 52_428_800,
        session_epoch: -1,
        topics: vec![FetchTopic { topic_id: topic_id(WIDE), partitions, ..Default::default() }],
        ..Default::default()
    };
    let mut frame = frame(&request, FETCH)?.to_vec();
    let at =
        frame.windows(8).position(|bytes| bytes == MARK.to_be_bytes()).ok_or("no offset in the frame")?;
    for turn in 0..turns {
        frame[at..at + 8].copy_from_slice(&(turn as i64).to_be_bytes());
        let mut answer = std::pin::pin!(broker.answer(Bytes::copy_from_slice(&frame)));
        if poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx).is_ready())).await {
            return Err("a fetch did not wait for records".into());
        }
        partition.append(records.clone(), -1).map_err(|failure| failure.error.name())?;
        black_box(answer.await?);
    }
    Ok(())
}

/// An offset to be found in an encoded request.
const MARK: i64 = 0x0123_4567_89ab_cdef;

/// All topics of a cluster.
async fn metadata(folder: &Path, turns: usize) -> Result<(), Failure> {
    let broker = Broker::start(folder).await?;
    let request = MetadataRequest { topics: None, ..Default::default() };
    let answer = broker.ask(&request, METADATA).await?;
    if (answer.topics.len() as u128) < TOPICS || answer.brokers.len() != 1 {
        return Err("topics or the broker are missing".into());
    }
    answers(&broker, &frame(&request, METADATA)?, turns).await
}

/// A member of a classic group says that it is alive.
async fn heartbeat(folder: &Path, turns: usize) -> Result<(), Failure> {
    let broker = Broker::start(folder).await?;
    let joined = join(&broker).await?;
    let sync = SyncGroupRequest {
        group_id: GROUP.into(),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        assignments: vec![SyncGroupRequestAssignment {
            member_id: joined.member_id.clone(),
            assignment: Bytes::from_static(b"todo"),
            ..Default::default()
        }],
        ..Default::default()
    };
    expect(broker.ask(&sync, SYNC_GROUP).await?.error_code)?;
    let request = HeartbeatRequest {
        group_id: GROUP.into(),
        generation_id: joined.generation_id,
        member_id: joined.member_id,
        ..Default::default()
    };
    expect(broker.ask(&request, HEARTBEAT).await?.error_code)?;
    answers(&broker, &frame(&request, HEARTBEAT)?, turns).await
}

const GROUP: &str = "grupo";

async fn join(broker: &Broker) -> Result<JoinGroupResponse, Failure> {
    let protocol = JoinGroupRequestProtocol {
        name: "range".into(),
        metadata: Bytes::from_static(b"uno"),
        ..Default::default()
    };
    let request = JoinGroupRequest {
        group_id: GROUP.into(),
        session_timeout_ms: 45_000,
        rebalance_timeout_ms: 300_000,
        protocol_type: "consumer".into(),
        protocols: vec![protocol],
        ..Default::default()
    };
    loop {
        let joined = broker.ask(&request, JOIN_GROUP).await?;
        if joined.error_code != ErrorCode::CoordinatorLoadInProgress.code() {
            expect(joined.error_code)?;
            return Ok(joined);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// What the server speaks.
async fn api_versions(folder: &Path, turns: usize) -> Result<(), Failure> {
    let broker = Broker::start(folder).await?;
    let request = ApiVersionsRequest {
        client_software_name: "apache-kafka-java".into(),
        client_software_version: "4.4.0".into(),
        ..Default::default()
    };
    expect(broker.ask(&request, API_VERSIONS).await?.error_code)?;
    answers(&broker, &frame(&request, API_VERSIONS)?, turns).await
}

async fn answers(broker: &Broker, frame: &Bytes, turns: usize) -> Result<(), Failure> {
    for _ in 0..turns {
        black_box(broker.answer(frame.clone()).await?);
    }
    Ok(())
}

fn expect(error: i16) -> Result<(), Failure> {
    match ErrorCode::from_code(error) {
        ErrorCode::None => Ok(()),
        error => Err(format!("the set-up was answered {}", error.name()).into()),
    }
}
