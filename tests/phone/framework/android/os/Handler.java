package android.os;

import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** Runs things on the main thread, one after another. */
public class Handler {
    public static final ExecutorService MAIN = Executors.newSingleThreadExecutor();

    public Handler(Looper looper) {}

    public final boolean post(Runnable task) {
        MAIN.execute(task);
        return true;
    }
}
