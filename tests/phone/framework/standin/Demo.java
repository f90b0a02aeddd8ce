package standin;

import android.content.Context;
import android.content.res.AssetManager;
import android.content.res.Resources;
import android.os.Handler;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import org.edgepress.core.Json;
import org.edgepress.core.Score;
import org.edgepress.demo.DemoSession;
import org.edgepress.demo.ModelStore;
import org.edgepress.demo.PhoneDevice;
import org.edgepress.demo.State;
import org.edgepress.demo.StoredModel;

/**
 * Somebody who uses the app: `Demo ASSETS STORAGE ACTION...`. Says after each action what is to be seen, a line of
 * JSON each. Actions: `choose:NAME`, `classify:FILE`, `benchmark:FILE`, `stopped benchmark:FILE`.
 */
// Bytecode that came from dex has lost its generic types: hence the casts.
public class Demo {
    private final DemoSession session;

    private Demo(File assets, File storage) {
        session = new DemoSession(new ModelStore(new AssetManager(assets), storage), new PhoneDevice(new Context()));
    }

    public static void main(String[] arguments) throws Exception {
        Demo demo = new Demo(new File(arguments[0]), new File(arguments[1]));
        demo.act("start");
        for (int at = 2; at < arguments.length; at++) {
            demo.act(arguments[at]);
        }
        System.exit(0);
    }

    private void act(String action) throws Exception {
        String[] parts = action.split(":", 2);
        String text = parts.length > 1 && !parts[0].equals("choose")
                ? new String(Files.readAllBytes(Paths.get(parts[1])), "UTF-8")
                : null;
        onMain(() -> perform(parts, text));
        while (onMain(() -> session.getState().getBusy() != null)) {
            Thread.sleep(5);
        }
        System.out.println(Json.INSTANCE.write(onMain(() -> seen(session.getState()))));
    }

    private static <T> T onMain(Callable<T> task) throws Exception {
        return Handler.MAIN.submit(task).get();
    }

    private Object perform(String[] parts, String text) {
        switch (parts[0]) {
            case "start": session.start(); break;
            case "choose": session.choose(named(parts[1])); break;
            case "classify": session.classify(text); break;
            case "benchmark": session.benchmark(text); break;
            case "stopped benchmark": session.benchmark(text); session.stop(); break;
            default: throw new IllegalArgumentException(parts[0]);
        }
        return null;
    }

    private StoredModel named(String name) {
        for (Object model : session.getState().getModels()) {
            if (((StoredModel) model).getName().equals(name)) {
                return (StoredModel) model;
            }
        }
        throw new IllegalArgumentException("no model " + name);
    }

    private static Object seen(State state) {
        Map<String, Object> seen = new LinkedHashMap<>();
        Map<String, Object> models = new LinkedHashMap<>();
        for (Object model : state.getModels()) {
            models.put(((StoredModel) model).getName(), ((StoredModel) model).getProblem());
        }
        seen.put("models", models);
        seen.put("chosen", state.getChosen() == null ? null : state.getChosen().getName());
        seen.put("notice", state.getNotice() == null ? null : state.getNotice().text(new Resources()));
        if (state.getAnswer() != null) {
            Map<String, Object> scores = new LinkedHashMap<>();
            for (Object score : state.getAnswer().getScores()) {
                scores.put(((Score) score).getLabel(), ((Score) score).getValue());
            }
            seen.put("scores", scores);
            seen.put("tokens", state.getAnswer().getEncoding().getSize());
            seen.put("truncated", state.getAnswer().getEncoding().getTruncated());
        }
        seen.put("report", state.getReport());
        return seen;
    }
}
