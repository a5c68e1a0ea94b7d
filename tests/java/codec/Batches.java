import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.CRC32;

import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.DefaultRecordBatch;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.utils.internals.ByteBufferOutputStream;

/**
 * Record batches as Kafka reads and writes them.
 *
 *   dump FILE      prints a file of batches, in the lines of crates/record/examples/batches.rs
 *   fixtures DIR   writes the batches of crates/record/tests/fixtures
 */
public class Batches {
    private static final long BASE = 12345;

    public static void main(String[] arguments) throws Exception {
        switch (arguments[0]) {
            case "dump" -> dump(Path.of(arguments[1]));
            case "fixtures" -> fixtures(Path.of(arguments[1]));
            default -> throw new IllegalArgumentException(arguments[0]);
        }
    }

    private static void dump(Path file) throws Exception {
        StringBuilder out = new StringBuilder();
        for (RecordBatch batch : MemoryRecords.readableRecords(ByteBuffer.wrap(Files.readAllBytes(file))).batches()) {
            batch.ensureValid();
            Object[] words = {
                "batch", batch.baseOffset(), batch.lastOffset(), batch.compressionType(), batch.timestampType(),
                batch.maxTimestamp(), batch.producerId(), batch.producerEpoch(), batch.baseSequence(),
                batch.lastSequence(), batch.isTransactional(), batch.isControlBatch(), batch.partitionLeaderEpoch(),
                batch.deleteHorizonMs().orElse(-1), batch.countOrNull(), batch.sizeInBytes(),
            };
            line(out, words);
            for (Record record : batch) {
                out.append(record.offset()).append(' ').append(record.timestamp()).append(' ').append(record.sequence());
                out.append(' ').append(digest(record.key())).append(' ').append(digest(record.value()));
                for (Header header : record.headers()) {
                    byte[] value = header.value();
                    out.append(' ').append(header.key()).append('=');
                    out.append(digest(value == null ? null : ByteBuffer.wrap(value)));
                }
                out.append('\n');
            }
        }
        System.out.print(out);
    }

    private static void line(StringBuilder out, Object[] words) {
        for (int i = 0; i < words.length; i++) {
            out.append(i == 0 ? "" : " ").append(words[i]);
        }
        out.append('\n');
    }

    private static String digest(ByteBuffer bytes) {
        if (bytes == null) {
            return "null";
        }
        CRC32 crc = new CRC32();
        crc.update(bytes.duplicate());
        return bytes.remaining() + ":" + Long.toHexString(crc.getValue());
    }

    private static void fixtures(Path home) throws Exception {
        for (CompressionType codec : CompressionType.values()) {
            Compression compression = Compression.of(codec).build();
            save(home, "simple-" + codec.name, simple(new Shape().with(compression).builder(), 0));
            if (codec != CompressionType.NONE) {
                save(home, "big-" + codec.name, big(new Shape().with(compression).builder()));
            }
        }
        Shape appended = new Shape();
        appended.base = BASE;
        appended.leaderEpoch = 42;
        save(home, "delete-horizon", simple(appended.horizon(777).builder(), BASE));
        appended.horizon(-1).producer(4711, 7, Integer.MAX_VALUE - 1).transactional = true;
        save(home, "transactional", simple(appended.builder(), BASE));
        appended.producer(4711, 7, -1).control = true;
        for (ControlRecordType type : new ControlRecordType[] {ControlRecordType.COMMIT, ControlRecordType.ABORT}) {
            MemoryRecordsBuilder builder = appended.builder();
            builder.appendEndTxnMarker(1234, new EndTransactionMarker(type, 9));
            save(home, type.name().toLowerCase() + "-marker", builder);
        }
        appended.transactional = false;
        appended.control = false;
        appended.logAppendTime = 5555;
        save(home, "log-append-time", simple(appended.producer(4711, 7, 3).builder(), BASE));
        ByteBuffer empty = ByteBuffer.allocate(DefaultRecordBatch.RECORD_BATCH_OVERHEAD);
        DefaultRecordBatch.writeEmptyHeader(empty, (byte) 2, 4711, (short) 7, 3, BASE, BASE + 10, 42,
            TimestampType.LOG_APPEND_TIME, 5555, true, false);
        Files.write(home.resolve("empty.bin"), empty.array());
    }

    private static MemoryRecordsBuilder simple(MemoryRecordsBuilder builder, long base) {
        builder.append(1000, bytes("key"), bytes("value"));
        builder.append(1005, null, bytes("v2"));
        builder.append(990, bytes("k3"), null);
        builder.append(1001, bytes(""), bytes(""), new Header[] {
            new RecordHeader("h", bytes("a")), new RecordHeader("h", bytes("b")),
            new RecordHeader("n", (byte[]) null), new RecordHeader("e", bytes("")), new RecordHeader("", bytes("x")),
        });
        builder.appendWithOffset(base + 104, 1002, bytes("gap"), bytes("offset"));
        return builder;
    }

    private static MemoryRecordsBuilder big(MemoryRecordsBuilder builder) {
        long seed = 1;
        for (int i = 0; i < 2000; i++) {
            seed = seed * 6364136223846793005L + 1442695040888963407L;
            String value = "value number " + i + " of many, with some noise " + Long.toHexString(seed >>> 40)
                + " and a tail that repeats itself and repeats itself";
            builder.append(1_700_000_000_000L + i, bytes("key-" + i % 17), bytes(value));
        }
        return builder;
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static void save(Path home, String name, MemoryRecordsBuilder builder) throws Exception {
        ByteBuffer built = builder.build().buffer();
        byte[] batch = new byte[built.remaining()];
        built.get(batch);
        Files.write(home.resolve(name + ".bin"), batch);
    }

    /** What is said of a batch as a whole. */
    private static class Shape {
        Compression compression = Compression.NONE;
        long base = 0;
        long logAppendTime = -1;
        long producerId = -1;
        int producerEpoch = -1;
        int sequence = -1;
        boolean transactional = false;
        boolean control = false;
        int leaderEpoch = -1;
        long deleteHorizon = -1;

        Shape with(Compression compression) {
            this.compression = compression;
            return this;
        }

        Shape producer(long id, int epoch, int sequence) {
            this.producerId = id;
            this.producerEpoch = epoch;
            this.sequence = sequence;
            return this;
        }

        Shape horizon(long timestamp) {
            this.deleteHorizon = timestamp;
            return this;
        }

        MemoryRecordsBuilder builder() {
            TimestampType clock = logAppendTime < 0 ? TimestampType.CREATE_TIME : TimestampType.LOG_APPEND_TIME;
            return new MemoryRecordsBuilder(new ByteBufferOutputStream(1024), (byte) 2, compression, clock, base,
                logAppendTime, producerId, (short) producerEpoch, sequence, transactional, control, leaderEpoch,
                Integer.MAX_VALUE, deleteHorizon);
        }
    }
}
