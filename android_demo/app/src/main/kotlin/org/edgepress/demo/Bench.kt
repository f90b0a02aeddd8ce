package org.edgepress.demo

import android.app.Activity
import android.app.Instrumentation
import android.content.Intent
import android.os.Bundle
import org.edgepress.core.BenchOptions
import org.edgepress.core.EdgepressException
import org.edgepress.core.Json
import org.edgepress.core.OnnxModel
import org.edgepress.core.writeWhole
import java.io.File
import org.edgepress.core.Bench as Measurement

/**
 * What a computer starts to measure a model file on this phone: `am instrument -w -r -e model ... -e run_id ...`.
 *
 * The contract is device_bench/phone/README.md. `-e provider nnapi` or `xnnpack` hands operations to those.
 */
public class Bench : Instrumentation() {
    private var extras = emptyMap<String, String?>()
    private var stage = ""

    override fun onCreate(arguments: Bundle?) {
        super.onCreate(arguments)
        extras = arguments?.run { keySet().associateWith { getString(it) } }.orEmpty()
        start()
    }

    /** On the instrumentation's own thread: the UI stays free. */
    override fun onStart() {
        super.onStart()
        try {
            answer(outbox())
            finish(Activity.RESULT_OK, Bundle())
        } catch (error: EdgepressException) { // there is no place for a result, or no name
            finish(Activity.RESULT_CANCELED, Bundle().apply { putString("shortMsg", error.message) })
        }
    }

    private fun outbox(): File {
        val media = targetContext.externalMediaDirs.firstOrNull() ?: throw EdgepressException("the shared storage is not there")
        return File(media, "edgepress")
    }

    private fun answer(outbox: File) {
        val runId = BenchOptions.runId(extras)
        try {
            bringToFront()
        } catch (error: RuntimeException) { // behind another app other cores would run it
            val refusal = mapOf("schema_version" to 1, "run_id" to runId, "error" to "the app cannot come to the front: ${error.message}")
            writeWhole(File(outbox, "$runId.json"), Json.write(refusal))
            return
        }
        measurement().answer(extras, outbox)
    }

    private fun bringToFront() {
        val intent = Intent(targetContext, MainActivity::class.java).addFlags(Intent.FLAG_ACTIVITY_NEW_TASK)
        startActivitySync(intent.putExtra(MainActivity.MEASURED, true))
    }

    private fun measurement() = Measurement(PhoneDevice(targetContext), { stage, _, _ -> report(stage) }) { options ->
        withNativeRuntime { OnnxModel.open(options.model, options.threads, options.provider) }
    }

    /** Once a stage: each report is a call of another process, which a run should not have beside it. */
    private fun report(stage: String) {
        if (stage == this.stage) return
        this.stage = stage
        sendStatus(0, Bundle().apply { putString("stage", stage) })
    }
}
