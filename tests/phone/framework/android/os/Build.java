package android.os;

/** The stand-in. Nothing of it is inlined into the app: it is the phone that says it. */
public class Build {
    public static final String MANUFACTURER = "Edgepress".trim();
    public static final String MODEL = "Stand-in".trim();
    public static final String BOARD = "none".trim();
    public static final String[] SUPPORTED_ABIS = {"arm64-v8a"};

    public static class VERSION {
        public static final int SDK_INT = Integer.parseInt("34");
        public static final String RELEASE = "14".trim();
    }
}
