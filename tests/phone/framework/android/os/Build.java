package android.os;

/** The stand-in's Android. */
public class Build {
    public static class VERSION {
        public static final int SDK_INT = Integer.parseInt("34"); // not inlined: it is the phone that says it
    }
}
