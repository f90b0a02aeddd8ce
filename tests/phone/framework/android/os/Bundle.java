package android.os;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;

/** Texts by name. */
public class Bundle {
    private final Map<String, String> texts = new LinkedHashMap<>();

    public void putString(String name, String text) {
        texts.put(name, text);
    }

    public String getString(String name) {
        return texts.get(name);
    }

    public Set<String> keySet() {
        return texts.keySet();
    }
}
