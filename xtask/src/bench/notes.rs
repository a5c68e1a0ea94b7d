//! What has to be said beside a cell: why a goal is not met, and what was tried.

/// A cell's id (a star at its end stands for anything) and a paragraph of the page.
pub const NOTES: &[(&str, &str)] = &[
    ("P1-*", CONSUME),
    ("P1-16KiB-1KiB", WAKES),
    ("P1-16KiB-100B", SMALL_RECORDS),
    ("P1-64KiB-100B", SMALL_RECORDS),
    ("P1-1MB-100B", SMALL_RECORDS),
    ("P1-1MB-1KiB", LARGE_BATCHES),
    ("C1-*", CONSUME),
    ("C2", CATCH_UP),
    ("L1-*", LATENCY),
    ("N1-1k", FEW_PARTITIONS),
    ("N1-1k-topics", FEW_PARTITIONS),
    ("N1-10k", FEW_PARTITIONS),
    ("U1", TRICKLE),
];

const CONSUME: &str = "\
**Consuming** what was just written is one `sendfile` for each answer, here, in the floor and in Apache Kafka. On the \
loopback that call does the receiver's half as well, and how much of it depends on how full the receiver's window is: the \
floor's figure moves between 0.3 and 0.7 s for each GB from cell to cell (1.2 with fetches of 64 KiB), ours between 0.2 and \
0.6 (1.5). The goal of 0.3 was taken from a Kafka that needed 1.2 to 1.4 s; warmed up it needs 0.2 to 0.9 here in most \
cells, and 0.3 of its figure is less than the floor needs in every cell but that of single records of 100 bytes. What is ours beside the call is what the profile shows below it. Tried: copying records behind the \
header up to 32 KiB (kept: one call instead of two) and beyond (dearer), `MSG_MORE` for the header (kept), answers without a look at the page cache (kept where the newest batches are known). Fetches of 64 KiB \
are above the floor probably for the same reason as produce requests of 16 KiB: wakes that its one thread saves.";

const WAKES: &str = "\
**Batches of 16 KiB** are 61,000 requests for each GB, and what is above the floor is some 4 µs for each of them, \
in the profile mostly the scheduler's. The floor is one thread that finds both producers' requests in one turn; here two workers take turns to wait for \
the sockets and wake each other, and each turn finds fewer requests. With one worker an earlier build needed 1.11 of the floor; \
it was not kept, because a node with two free cores then uses one. Tried: `pwritev` of the bytes as received (kept), room \
reserved ahead (kept), the answers of one turn in one write (kept). Not built: \
one `pwritev` for several requests of one turn.";

const SMALL_RECORDS: &str = "\
**Records of 100 bytes** are walked over one by one when a batch arrives, as Kafka does: offsets must follow each other, \
lengths must add up, and a record without a key must not enter a compacted topic. The floor looks at the batch's checksum \
only. That walk is some 35 ns for each of the 10 million records of a GB. Tried: reading the many one- and two-byte integers \
without a loop (kept: 6 % of the instructions of a batch of 16 KiB); walking only where the semantics need it, which is \
everywhere for clients that this broker does not know.";

const LARGE_BATCHES: &str = "\
**Batches of 1 MB** cost what the checksum and the copy into the page cache cost, and both run at the memory's speed. What \
may come on top is paced write-back, which this process pays for (0.11 s for each GB that it forces, ADR 10) while \
the floor and Kafka leave it to the system's threads, whose time is in nobody's figure.";

const CATCH_UP: &str = "\
**A rise below 0.1 ms** counts as 0.1 ms, because the p99 of a run moves by more than that by itself: where Kafka's rise is \
that small, too, the ratio of the two says nothing. Read the bound of 2 ms.";

const LATENCY: &str = "\
**Latency** on two cores is mostly four wakes: the load's connection, the server's, the consumer's, and the load's again. \
The floor has the same ones, and a p50 of half of Kafka's would be below the floor's at 5,000 messages a second and less. The \
goals for the tails were taken from a Kafka with a p99 of 6.6 ms; after the warm-up its p99 is 0.6 to 1.9 ms at \
200 to 5,000 messages of 1 KiB a second on this machine, and a quarter of that is below the floor's own p99. Where Kafka is \
under load (20,000 a second) or pinned to one CPU with the load, its tails are several times ours. Tried: one timer for all \
long polls (kept), answering the parked consumer on the producer's thread (kept), one worker instead of two (ADR 9: not \
better when both cores are free).";

const FEW_PARTITIONS: &str = "\
**Memory for each partition** holds what all partitions have in common: with 1,000 that is most of it (the image's maps, the \
log's tasks, some 1.7 MiB). From 50,000 on it is 1.8 KiB. Tried, and kept: segments in a sorted list, no producer state and \
no open file before there is a producer or a reader, names shared by partitions of a topic, no huge pages (ADR 7 and the \
changelog).";

const TRICKLE: &str = "\
**A trickle** finds cold caches: a message costs six times as much at 10 a second as at 1,000. The profile is flat, most of it in the \
scheduler, epoll and the socket. Tried: one worker and one thread for everything (ADR 9: within the noise), one timer for all \
parked requests (kept: 0.01 instead of 0.69 writes to the runtime's own eventfd for each message), no wake of the controller \
for records that say nothing (kept). What the floor does not have is a second connection to wake: its one thread finds both \
in one turn.";

/// The paragraphs of a cell.
pub fn of(cell: &str) -> impl Iterator<Item = &'static str> {
    let covers = move |id: &str| match id.strip_suffix('*') {
        Some(start) => cell.starts_with(start),
        None => cell == id,
    };
    NOTES.iter().filter(move |(id, _)| covers(id)).map(|(_, text)| *text)
}
