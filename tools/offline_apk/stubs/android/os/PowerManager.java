package android.os;

/**
 * What the app uses of a class that has grown since the framework that it is compiled against offline.
 *
 * <p>First on the class path of the compilers, and in no APK: the phone has its own.
 */
public final class PowerManager {
    private PowerManager() {}

    public native int getCurrentThermalStatus();
}
