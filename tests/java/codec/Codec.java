import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;

import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;

/**
 * Kafka's own codec behind a pipe. Reads lines and answers each with one:
 *
 *   NAME VERSION HEX     the message with these bytes, decoded and encoded again: "NAME VERSION HEX"
 *   NAME versions        "NAME LOWEST HIGHEST"
 *
 * What fails is answered with "NAME VERSION error ...". Messages are found by Kafka's name, whichever of its
 * modules generated them. Run with Kafka's jars on the class path: java -cp 'libs/*' Codec.java
 */
public class Codec {
    private static final List<String> PACKAGES = List.of(
        "org.apache.kafka.common.message.",
        "org.apache.kafka.common.metadata.",
        "org.apache.kafka.coordinator.group.generated.",
        "org.apache.kafka.coordinator.transaction.generated.",
        "org.apache.kafka.coordinator.share.generated.",
        "org.apache.kafka.raft.generated.",
        "org.apache.kafka.server.log.remote.metadata.storage.generated."
    );

    private static final Map<String, Class<?>> CLASSES = new HashMap<>();

    public static void main(String[] arguments) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        PrintStream out = new PrintStream(System.out, false);
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] words = line.split(" ", 3);
            out.println(words[0] + " " + answer(words));
        }
        out.flush();
    }

    private static String answer(String[] words) {
        try {
            Class<?> type = find(words[0]);
            if (words[1].equals("versions")) {
                return type.getField("LOWEST_SUPPORTED_VERSION").getShort(null)
                    + " " + type.getField("HIGHEST_SUPPORTED_VERSION").getShort(null);
            }
            byte[] bytes = HexFormat.of().parseHex(words.length > 2 ? words[2] : "");
            return words[1] + " " + HexFormat.of().formatHex(again(type, Short.parseShort(words[1]), bytes));
        } catch (Throwable error) {
            return words[1] + " error " + String.valueOf(error).replace('\n', ' ');
        }
    }

    private static byte[] again(Class<?> type, short version, byte[] bytes) throws Exception {
        ByteBuffer in = ByteBuffer.wrap(bytes);
        Message message = (Message) type.getConstructor().newInstance();
        message.read(new ByteBufferAccessor(in), version);
        if (in.hasRemaining()) {
            throw new IllegalStateException(in.remaining() + " bytes are left");
        }
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer out = ByteBuffer.allocate(message.size(cache, version));
        message.write(new ByteBufferAccessor(out), cache, version);
        if (out.hasRemaining()) {
            throw new IllegalStateException("size foretold wrongly");
        }
        return out.array();
    }

    private static Class<?> find(String name) throws ClassNotFoundException {
        Class<?> known = CLASSES.get(name);
        if (known != null) {
            return known;
        }
        for (String home : PACKAGES) {
            for (String suffix : List.of("Data", "")) {
                try {
                    Class<?> type = Class.forName(home + name + suffix);
                    CLASSES.put(name, type);
                    return type;
                } catch (ClassNotFoundException elsewhere) {
                    continue;
                }
            }
        }
        throw new ClassNotFoundException(name);
    }
}
