package org.edgepress.demo

import android.os.Handler
import android.os.Looper
import org.edgepress.core.Classifier
import org.edgepress.core.Device
import org.edgepress.core.EdgepressException
import org.edgepress.core.ModelFolder
import java.util.concurrent.CancellationException
import java.util.concurrent.Executors

/** Everything that the app does, one thing at a time and none of it on the UI thread, from which it is called. */
internal class DemoSession(private val store: ModelStore, private val device: Device) {
    private val worker = Executors.newSingleThreadExecutor()
    private val main = Handler(Looper.getMainLooper())
    private var started = false

    /** The worker's alone. */
    private var open: Classifier? = null
    private var told: Pair<String, Int>? = null

    @Volatile
    private var stopping = false

    var state = State()
        private set

    /** Is told of every new [state]. */
    var observer: ((State) -> Unit)? = null

    /** Gets the models ready, the first time. */
    fun start() {
        if (started) return
        started = true
        work(Message(R.string.loading)) {
            val models = store.models()
            val change: State.() -> State = { copy(models = models, chosen = models.firstOrNull { it.folder != null }) }
            change
        }
    }

    fun choose(model: StoredModel) {
        if (state.busy == null && model.folder != null) show { copy(chosen = model, answer = null, notice = null) }
    }

    fun classify(text: String) {
        val folder = state.chosen?.folder ?: return
        if (text.isBlank()) return show { copy(answer = null, notice = Message(R.string.empty_text)) }
        work(Message(R.string.working)) {
            val answer = classifier(folder).classify(text)
            val change: State.() -> State = { copy(answer = answer) }
            change
        }
    }

    private fun classifier(folder: ModelFolder): Classifier {
        open?.let { if (it.folder === folder) return it }
        close()
        return withNativeRuntime { Classifier.open(folder) }.also { open = it }
    }

    private fun close() {
        open?.close()
        open = null
    }

    /** Measures all models with this text, in turn. */
    fun benchmark(text: String) {
        val models = state.models.filter { it.folder != null }
        if (text.isBlank()) return show { copy(notice = Message(R.string.empty_text)) }
        stopping = false
        work(Message(R.string.loading), measuring = true) {
            close() // its memory is not the measured model's
            told = null
            val report = Benchmark(device, ::progress).run(models, text)
            val change: State.() -> State = { copy(figures = report.figures, report = report.json()) }
            change
        }
    }

    /** Asked before every run, and seen only where it says something new: drawing takes time from the runs. */
    private fun progress(name: String, percent: Int) {
        if (stopping) throw CancellationException()
        if (told == name to percent) return
        told = name to percent
        main.post { if (state.measuring) show { copy(busy = Message(R.string.measuring, name, percent)) } }
    }

    fun stop() {
        stopping = true
    }

    private fun work(busy: Message, measuring: Boolean = false, job: () -> State.() -> State) {
        if (state.busy != null) return
        show { copy(busy = busy, measuring = measuring, notice = null) }
        worker.execute {
            val change = attempt(job)
            main.post { show { change().copy(busy = null, measuring = false) } }
        }
    }

    private fun attempt(job: () -> State.() -> State): State.() -> State = try {
        job()
    } catch (_: CancellationException) {
        { this }
    } catch (error: EdgepressException) {
        failure(listOf(error.message, error.hint).filter { it.isNotEmpty() }.joinToString("; "))
    } catch (error: OutOfMemoryError) {
        failure(error.toString())
    } catch (error: RuntimeException) { // a mistake of ours is a message, too, and no crash
        failure(error.toString())
    }

    private fun failure(reason: String): State.() -> State = { copy(answer = null, notice = Message(R.string.failed, reason)) }

    private fun show(change: State.() -> State) {
        state = state.change()
        observer?.invoke(state)
    }
}
