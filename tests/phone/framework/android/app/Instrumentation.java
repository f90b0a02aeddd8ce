package android.app;

import android.content.Context;
import android.content.Intent;
import android.os.Bundle;

/** Runs in its own thread and says on the standard output what `am instrument -r` says. */
public class Instrumentation {
    private final Context target = new Context();

    public void onCreate(Bundle arguments) {}

    public void onStart() {}

    public void start() {
        new Thread(this::onStart).start();
    }

    public Context getTargetContext() {
        return target;
    }

    public Activity startActivitySync(Intent intent) {
        target.bringToFront(intent);
        return null;
    }

    public void sendStatus(int code, Bundle results) {
        print("INSTRUMENTATION_STATUS", results);
        System.out.println("INSTRUMENTATION_STATUS_CODE: " + code);
    }

    public void finish(int code, Bundle results) {
        print("INSTRUMENTATION_RESULT", results);
        System.out.println("INSTRUMENTATION_CODE: " + code);
        System.exit(0);
    }

    private static void print(String kind, Bundle results) {
        for (String key : results.keySet()) {
            System.out.println(kind + ": " + key + "=" + results.getString(key));
        }
    }
}
