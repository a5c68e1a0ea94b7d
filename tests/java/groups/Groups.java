import java.util.Arrays;

/**
 * Groups and transactions through the Java clients against one server.
 *
 * suite BOOTSTRAP
 * transactions BOOTSTRAP LEVEL
 * hop BOOTSTRAP NUMBER PROTOCOL WORKER
 * fire BOOTSTRAP HOPS SECONDS
 * streams BOOTSTRAP PROTOCOL APPLICATION FOLDER
 * streams-load BOOTSTRAP PROTOCOL APPLICATION SECONDS
 * take-over BOOTSTRAP CONTROL FOLDER
 * upgrade BOOTSTRAP COMMAND...      (the command of a librdkafka member)
 */
public final class Groups {
    public static void main(String[] args) throws Exception {
        String bootstrap = args[1];
        switch (args[0]) {
            case "suite" -> System.exit(suite(bootstrap));
            case "transactions" -> {
                Check check = new Check();
                new TransactionChecks(bootstrap, Integer.parseInt(args[2])).run(check);
                System.exit(check.failed() == 0 ? 0 : 1);
            }
            case "hop" -> new Hop(bootstrap, Integer.parseInt(args[2]), args[3], args[4]).run();
            case "fire" -> System.exit(new Fire(bootstrap, Integer.parseInt(args[2])).run(Integer.parseInt(args[3])));
            case "streams" -> StreamsApp.run(bootstrap, args[2], args[3], args[4]);
            case "streams-load" -> System.exit(StreamsLoad.run(bootstrap, args[2], args[3], Integer.parseInt(args[4])));
            case "take-over" -> System.exit(new TakeOver(bootstrap, args[2], args[3]).run());
            case "upgrade" -> System.exit(
                new Upgrade(bootstrap, Arrays.asList(args).subList(2, args.length)).run());
            default -> throw new IllegalArgumentException(args[0]);
        }
    }

    private static int suite(String bootstrap) {
        Check check = new Check();
        for (String protocol : new String[] {Work.CLASSIC, Work.CONSUMER}) {
            new ConsumerGroupChecks(bootstrap, protocol).run(check);
            new RebalanceChecks(bootstrap, protocol).run(check);
        }
        new ShareGroupChecks(bootstrap).run(check);
        new ShareGroupMoreChecks(bootstrap).run(check);
        new CompactionChecks(bootstrap).run(check);
        return check.failed() == 0 ? 0 : 1;
    }
}
