package android.content;

import java.util.HashMap;
import java.util.Map;

/** A class to start and its extras. */
public class Intent {
    private final Map<String, Object> extras = new HashMap<>();
    private final String target;
    private int flags;

    public Intent() {
        target = "";
    }

    public Intent(Context context, Class<?> target) {
        this.target = target.getName();
    }

    public Intent addFlags(int more) {
        flags |= more;
        return this;
    }

    public Intent putExtra(String name, boolean value) {
        extras.put(name, value);
        return this;
    }

    public Intent putExtra(String name, int value) {
        extras.put(name, value);
        return this;
    }

    public int getIntExtra(String name, int otherwise) {
        return (Integer) extras.getOrDefault(name, otherwise);
    }

    @Override
    public String toString() {
        return target + " " + Integer.toHexString(flags) + " " + extras;
    }
}
