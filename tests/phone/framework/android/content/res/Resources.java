package android.content.res;

import java.lang.reflect.Field;
import java.util.Arrays;

/** A text as its name and what stands in its places. */
public class Resources {
    public String getString(int id, Object... arguments) {
        try {
            for (Field field : Class.forName("org.edgepress.demo.R$string").getFields()) {
                if (field.getInt(null) == id) {
                    return field.getName() + " " + Arrays.toString(arguments);
                }
            }
        } catch (ReflectiveOperationException error) {
            throw new IllegalStateException(error);
        }
        throw new IllegalArgumentException("no text " + id);
    }
}
