package standin;

import android.app.Instrumentation;
import android.os.Bundle;

/** `am instrument -w -r -e NAME VALUE ... PACKAGE/CLASS`, for a class on the class path. */
public class AmInstrument {
    public static void main(String[] arguments) throws Exception {
        Bundle extras = new Bundle();
        for (int at = 0; at + 2 < arguments.length; at++) {
            if (arguments[at].equals("-e")) {
                extras.putString(arguments[at + 1], arguments[at + 2]);
            }
        }
        String[] component = arguments[arguments.length - 1].split("/");
        String name = component[1].startsWith(".") ? component[0] + component[1] : component[1];
        ((Instrumentation) Class.forName(name).getDeclaredConstructor().newInstance()).onCreate(extras);
    }
}
