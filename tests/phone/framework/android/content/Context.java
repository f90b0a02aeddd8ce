package android.content;

import android.os.PowerManager;
import java.io.File;
import standin.Phone;

/** What the app asks of its context, answered by the stand-in. */
public class Context {
    public Object getSystemService(String name) {
        if (!name.equals("power")) {
            throw new IllegalArgumentException("no service " + name);
        }
        return new PowerManager();
    }

    public File[] getExternalMediaDirs() {
        return new File[] {new File(Phone.MEDIA)};
    }

    /** The last battery broadcast, which nobody has to wait for. */
    public Intent registerReceiver(BroadcastReceiver receiver, IntentFilter filter) {
        return new Intent()
                .putExtra("level", Phone.number("battery", "level"))
                .putExtra("temperature", Phone.number("battery", "temperature"))
                .putExtra("plugged", 2);
    }

    /** Keeps what was started, for the tests to see. */
    public void bringToFront(Intent intent) {
        Phone.keep("front", intent.toString());
    }
}
