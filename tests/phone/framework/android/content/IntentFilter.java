package android.content;

/** Which broadcast is meant. */
public class IntentFilter {
    public IntentFilter(String action) {}
}
