package standin;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The folder that the shims answer from, and the shared storage; a test may name others. */
public class Phone {
    public static final String MEDIA =
            System.getProperty("standin.media", "/sdcard/Android/media/org.edgepress.demo");
    private static final Path STATE = Paths.get(System.getProperty("standin.state", "/data/phone"));

    /** A number of what a `dumpsys` prints. */
    public static int number(String file, String name) {
        try {
            String text = new String(Files.readAllBytes(STATE.resolve(file)));
            Matcher found = Pattern.compile("(?m)^\\s*" + name + ": (\\d+)").matcher(text);
            return found.find() ? Integer.parseInt(found.group(1)) : -1;
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    public static void keep(String file, String text) {
        try {
            Files.write(STATE.resolve(file), text.getBytes());
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }
}
