import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

/** Named checks: one line each, `ok NAME` or `not ok NAME: why`, and a deadline for every one. */
final class Check {
    interface Body {
        void run() throws Exception;
    }

    interface Condition {
        boolean holds() throws Exception;
    }

    private static final long DEADLINE_SECONDS = 90;
    private final ExecutorService worker = Executors.newCachedThreadPool(r -> {
        Thread thread = new Thread(r);
        thread.setDaemon(true);
        return thread;
    });
    private final String only = System.getenv().getOrDefault("ONLY", "");
    private int failed;

    void that(String name, Body body) {
        if (!only.isEmpty() && !name.contains(only)) {
            return;
        }
        Future<?> running = worker.submit((Callable<Void>) () -> {
            body.run();
            return null;
        });
        try {
            running.get(DEADLINE_SECONDS, TimeUnit.SECONDS);
            System.out.println("ok " + name);
        } catch (Exception e) {
            running.cancel(true);
            failed++;
            Throwable cause = e.getCause() == null ? e : e.getCause();
            StackTraceElement at = null;
            for (StackTraceElement frame : cause.getStackTrace()) {
                if (frame.getClassName().endsWith("Checks") || frame.getClassName().equals("Corpus")) {
                    at = frame;
                    break;
                }
            }
            System.out.println("not ok " + name + ": " + cause + (at == null ? "" : " at " + at));
        }
        System.out.flush();
    }

    int failed() {
        return failed;
    }

    static void equal(Object expected, Object seen, String what) {
        if (!java.util.Objects.deepEquals(expected, seen)) {
            throw new AssertionError(what + ": expected " + expected + " but saw " + seen);
        }
    }

    static void isTrue(boolean condition, String what) {
        if (!condition) {
            throw new AssertionError(what);
        }
    }

    /** The root cause's class must be the expected one. */
    static void fails(Class<? extends Throwable> expected, Body body) throws Exception {
        try {
            body.run();
        } catch (Throwable thrown) {
            Throwable cause = thrown;
            while (cause.getCause() != null && !expected.isInstance(cause)) {
                cause = cause.getCause();
            }
            if (expected.isInstance(cause)) {
                return;
            }
            throw new AssertionError("expected " + expected.getSimpleName() + " but saw " + thrown);
        }
        throw new AssertionError("expected " + expected.getSimpleName() + " but nothing failed");
    }

    static void eventually(String what, Condition condition) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
        while (!condition.holds()) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError("not within 30 s: " + what);
            }
            Thread.sleep(50);
        }
    }
}
