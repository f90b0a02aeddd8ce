package org.edgepress.demo

import android.app.Activity
import android.content.Intent
import android.os.Bundle
import android.view.View
import android.view.WindowManager
import android.widget.Button
import android.widget.EditText

/** The one screen: a text, its classes, the models side by side. */
public class MainActivity : Activity() {
    private val session by lazy { (application as DemoApplication).session }
    private val text by lazy { view<EditText>(R.id.text) }
    private val measured get() = intent.getBooleanExtra(MEASURED, false)
    private val benchmark by lazy { view<Button>(R.id.benchmark) }

    override fun onCreate(saved: Bundle?) {
        super.onCreate(saved)
        if (measured) return showMeasured()
        setContentView(R.layout.main)
        view<View>(R.id.classify).setOnClickListener { session.classify(text.text.toString()) }
        view<View>(R.id.clear).setOnClickListener { text.text.clear() }
        benchmark.setOnClickListener { if (session.state.measuring) session.stop() else session.benchmark(text.text.toString()) }
        view<View>(R.id.share).setOnClickListener { share() }
        if (saved == null) take(intent)
        session.start()
    }

    /** A computer measures: nothing else is to run, and nobody should have to touch the phone. */
    private fun showMeasured() {
        window.addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON or WindowManager.LayoutParams.FLAG_SHOW_WHEN_LOCKED)
        setContentView(R.layout.measured)
    }

    override fun onNewIntent(intent: Intent) {
        super.onNewIntent(intent)
        val before = measured
        setIntent(intent)
        if (measured != before) recreate() else if (!measured) take(intent)
    }

    /** A text that another app shares. */
    private fun take(intent: Intent) {
        val shared = intent.getCharSequenceExtra(Intent.EXTRA_TEXT) ?: return
        text.setText(shared)
    }

    override fun onStart() {
        super.onStart()
        if (measured) return
        session.observer = ::render
        render(session.state)
    }

    override fun onStop() {
        session.observer = null
        super.onStop()
    }

    private fun render(state: State) {
        ResultCard(view<View>(R.id.result_card)).show(state)
        ModelsCard(view<View>(R.id.models_card), session::choose).show(state)
        val ready = state.busy == null && state.chosen != null
        view<View>(R.id.classify).isEnabled = ready
        benchmark.isEnabled = ready || state.measuring
        benchmark.setText(if (state.measuring) R.string.stop else R.string.benchmark)
        view<View>(R.id.share).visibility = if (state.report == null) View.GONE else View.VISIBLE
    }

    private fun share() {
        val send = Intent(Intent.ACTION_SEND).setType("text/plain").putExtra(Intent.EXTRA_TEXT, session.state.report)
        startActivity(Intent.createChooser(send, getString(R.string.share)))
    }

    internal companion object {
        /** An extra that says that a computer measures. */
        const val MEASURED = "org.edgepress.demo.measured"
    }
}
