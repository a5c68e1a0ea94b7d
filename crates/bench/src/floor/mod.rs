//! The physical denominator: the least that a broker must do, in one thread and plainly written.
//!
//! It reads frames, checks checksums, writes offsets into the batches, appends them to a file in the
//! page cache (one write for each batch) and answers (one send for each request); it answers fetches
//! with file slices. It forgets everything when it ends, and trusts its clients not to flood it.

mod connection;
mod fetch;
mod log;
mod topics;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;

use self::connection::{Connection, Piece};
use self::fetch::Fetch;
use self::topics::Topics;
use crate::wire::{Reader, Writer, api};

/// What epoll calls the listener.
const LISTENER: u64 = u64::MAX;
/// How often the wish to stop is looked at when nothing happens.
const IDLE: Duration = Duration::from_secs(1);

/// The server.
#[derive(Debug)]
pub struct Floor {
    listener: TcpListener,
    port: u16,
    epoll: OwnedFd,
    connections: Vec<Option<Connection>>,
    topics: Topics,
    serial: u64,
    /// Connections with a parked fetch, and those whose partitions have grown in this turn.
    parked: Vec<usize>,
    woken: Vec<(usize, u64)>,
}

impl Floor {
    /// Listens on an address and keeps its files in a folder.
    pub fn bind(address: SocketAddr, folder: PathBuf) -> Result<Self> {
        std::fs::create_dir_all(&folder)?;
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, epoll::EventData::new_u64(LISTENER), epoll::EventFlags::IN)?;
        Ok(Self {
            port: listener.local_addr()?.port(),
            listener,
            epoll,
            connections: Vec::new(),
            topics: Topics::new(folder),
            serial: 0,
            parked: Vec::new(),
            woken: Vec::new(),
        })
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Serves until it is told to stop.
    pub fn run(&mut self, stop: &AtomicBool) -> Result<()> {
        let mut events = Vec::with_capacity(256);
        while !stop.load(Ordering::Relaxed) {
            let timeout = self.timeout();
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                match event.data.u64() {
                    LISTENER => self.accept()?,
                    connection => self.serve(connection as usize, event.flags),
                }
            }
            self.expire();
        }
        Ok(())
    }

    fn timeout(&self) -> Timespec {
        let deadlines =
            self.parked.iter().filter_map(|&id| Some(self.connection(id)?.parked.as_ref()?.deadline));
        let left =
            deadlines.min().map_or(IDLE, |first| first.saturating_duration_since(Instant::now()).min(IDLE));
        // Rounded up, or the last millisecond would be spent spinning.
        let left = left + Duration::from_micros(999);
        Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_millis()) * 1_000_000 }
    }

    fn connection(&self, id: usize) -> Option<&Connection> {
        self.connections.get(id)?.as_ref()
    }

    fn accept(&mut self) -> Result<()> {
        while let Ok((stream, _)) = self.listener.accept() {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let free = self.connections.iter().position(Option::is_none);
            let id = free.unwrap_or(self.connections.len());
            epoll::add(&self.epoll, &stream, epoll::EventData::new_u64(id as u64), epoll::EventFlags::IN)?;
            let connection = Some(Connection::new(stream));
            match self.connections.get_mut(id) {
                Some(slot) => *slot = connection,
                None => self.connections.push(connection),
            }
        }
        Ok(())
    }

    fn serve(&mut self, id: usize, flags: epoll::EventFlags) {
        let outcome = self.turn(id, flags);
        if let Err(error) = &outcome {
            eprintln!("floor: {error:#}");
        }
        if !outcome.unwrap_or(false) {
            self.close(id);
        }
        self.wake();
    }

    /// Receives once and answers every whole request; false when the client has gone.
    fn turn(&mut self, id: usize, flags: epoll::EventFlags) -> Result<bool> {
        let Some(mut connection) = self.connections.get_mut(id).and_then(Option::take) else {
            return Ok(true);
        };
        let outcome = (|| {
            if connection.is_full() {
                connection.flush()?;
            }
            if flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::HUP) && !connection.receive()? {
                return Ok(false);
            }
            self.requests(id, &mut connection)?;
            Ok(true)
        })();
        self.connections[id] = Some(connection);
        outcome
    }

    fn requests(&mut self, id: usize, connection: &mut Connection) -> Result<()> {
        let mut at = 0;
        while connection.parked.is_none() && !connection.is_full() {
            let Some(length) = connection.frame_at(at) else { break };
            let mut frame = std::mem::take(&mut connection.inbox);
            let outcome = self.request(id, connection, &mut frame[at + 4..at + 4 + length]);
            connection.inbox = frame;
            outcome?;
            at += 4 + length;
        }
        connection.inbox.drain(..at);
        if connection.is_full() != connection.awaits_room {
            connection.awaits_room = connection.is_full();
            let mut flags = epoll::EventFlags::IN;
            flags.set(epoll::EventFlags::OUT, connection.awaits_room);
            epoll::modify(&self.epoll, &connection.stream, epoll::EventData::new_u64(id as u64), flags)?;
        }
        Ok(())
    }

    fn request(&mut self, id: usize, connection: &mut Connection, frame: &mut [u8]) -> Result<()> {
        let mut r = Reader::new(frame);
        let api = (r.i16()?, r.i16()?);
        let correlation = r.i32()?;
        r.string()?;
        if api == api::FETCH {
            self.serial += 1;
            let fetch = Fetch::decode(correlation, self.serial, &mut r, &self.topics)?;
            match fetch.answer(&self.topics, Instant::now())? {
                Some(pieces) => connection.answer(pieces)?,
                None => {
                    fetch.park(id, &mut self.topics);
                    connection.parked = Some(fetch);
                    self.parked.push(id);
                }
            }
            return Ok(());
        }
        let mut w = Writer::default();
        w.i32(0).i32(correlation);
        let mut silent = false;
        match api {
            api::PRODUCE => {
                let at = r.position();
                silent = self.produce(frame, at, &mut w)?;
            }
            api::METADATA => self.topics.metadata(self.port, &mut r, &mut w)?,
            api::LIST_OFFSETS => self.topics.offsets(&mut r, &mut w)?,
            api::CREATE_TOPICS => self.topics.create(&mut r, &mut w)?,
            (18, _) => {
                w.i16(0).count(api::ALL.len());
                for (key, version) in api::ALL {
                    w.i16(key).i16(0).i16(version);
                }
            }
            (key, version) => bail!("version {version} of API {key} is not spoken here"),
        }
        if silent {
            return Ok(());
        }
        let length = i32::try_from(w.0.len() - 4)?;
        w.0[..4].copy_from_slice(&length.to_be_bytes());
        connection.answer([Piece::Bytes(w.0)])
    }

    /// Appends every batch of a request; true when no answer is wanted.
    fn produce(&mut self, frame: &mut [u8], at: usize, w: &mut Writer) -> Result<bool> {
        let mut r = Reader::new(frame);
        r.take(at)?;
        r.string()?;
        let acks = r.i16()?;
        r.i32()?;
        let topics = r.list(|r| {
            let name = r.string()?;
            let topic = self.topics.find(name).context("an unknown topic")?;
            let batches = r.list(|r| {
                let partition = r.i32()?;
                let length = r.bytes()?.len();
                Ok((partition, r.position() - length..r.position()))
            })?;
            Ok((topic, name.to_owned(), batches))
        })?;
        w.count(topics.len());
        for (topic, name, batches) in topics {
            w.string(&name).count(batches.len());
            for (partition, range) in batches {
                let number = usize::try_from(partition)?;
                let log = self.topics.log_mut(topic, number).context("an unknown partition")?;
                let base = log.append(&mut frame[range])?;
                self.woken.append(&mut log.waiters);
                w.i32(partition).i16(0).i64(base).i64(-1).i64(0);
            }
        }
        w.i32(0);
        Ok(acks == 0)
    }

    /// Answers fetches whose partitions have grown.
    fn wake(&mut self) {
        while let Some((id, serial)) = self.woken.pop() {
            self.retry(id, Some(serial));
        }
    }

    /// Answers fetches whose time is over.
    fn expire(&mut self) {
        let now = Instant::now();
        let over = |id: &usize| {
            self.connection(*id)?.parked.as_ref().filter(|fetch| fetch.deadline <= now).map(|_| *id)
        };
        let over: Vec<usize> = self.parked.iter().filter_map(over).collect();
        for id in over {
            self.retry(id, None);
        }
    }

    fn retry(&mut self, id: usize, serial: Option<u64>) {
        let Some(mut connection) = self.connections.get_mut(id).and_then(Option::take) else { return };
        let outcome = self.answer_parked(id, &mut connection, serial);
        self.connections[id] = Some(connection);
        if let Err(error) = outcome {
            eprintln!("floor: {error:#}");
            self.close(id);
        }
    }

    fn answer_parked(&mut self, id: usize, connection: &mut Connection, serial: Option<u64>) -> Result<()> {
        let Some(fetch) = connection.parked.take() else { return Ok(()) };
        if serial.is_some_and(|serial| serial != fetch.serial) {
            connection.parked = Some(fetch);
            return Ok(());
        }
        match fetch.answer(&self.topics, Instant::now())? {
            Some(pieces) => {
                self.parked.retain(|parked| *parked != id);
                connection.answer(pieces)?;
                self.requests(id, connection)
            }
            None => {
                fetch.park(id, &mut self.topics);
                connection.parked = Some(fetch);
                Ok(())
            }
        }
    }

    fn close(&mut self, id: usize) {
        self.parked.retain(|parked| *parked != id);
        if let Some(slot) = self.connections.get_mut(id) {
            *slot = None;
        }
    }
}
