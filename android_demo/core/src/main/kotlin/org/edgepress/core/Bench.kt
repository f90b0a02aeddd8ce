package org.edgepress.core

import java.io.File

/**
 * The measurement of one launch: a request in, a result out, as the contract with device_bench has it.
 *
 * @param open opens the model file with a number of threads.
 * @param shares says which provider runs how much of it, where another than the CPU is asked for.
 */
public class Bench(
    private val device: Device = Device.Unknown,
    private val progress: Progress = Progress { _, _, _ -> },
    private val clock: () -> Long = System::nanoTime,
    private val shares: (BenchOptions, Batch) -> Map<String, Share> = { options, batch ->
        OnnxModel.shares(options.model, options.threads, options.provider, batch)
    },
    private val open: (BenchOptions) -> Model = { OnnxModel.open(it.model, it.threads, it.provider) },
) {
    /**
     * Does what an instrumentation's [extras] ask for, and writes the result into [outbox], also where that
     * is an error.
     *
     * @return the result's file.
     * @throws EdgepressException without a run_id the result has no name, or it cannot be written.
     */
    public fun answer(extras: Map<String, String?>, outbox: File): File {
        val runId = BenchOptions.runId(extras)
        return writeWhole(File(outbox, "$runId.json"), resultOrError(runId, extras))
    }

    /** The result, or a JSON that says what is wrong with the file or the request. */
    private fun resultOrError(runId: String, extras: Map<String, String?>): String = try {
        val options = BenchOptions.of(extras)
        Json.write(measure(options, BenchRequest.read(options.request)))
    } catch (error: EdgepressException) {
        failure(runId, listOf(error.message, error.hint).filter { it.isNotEmpty() }.joinToString("; "))
    } catch (error: OutOfMemoryError) {
        failure(runId, "the device has too little memory for this: ${firstLine(error)}")
    } catch (error: Exception) { // a mistake of ours: the other files of the measurement go on
        failure(runId, "${error.javaClass.simpleName}: ${firstLine(error)}")
    }

    private fun failure(runId: String, error: String): String =
        Json.write(mapOf("schema_version" to SCHEMA_VERSION, "run_id" to runId, "error" to error))

    /**
     * The result as [Json] writes it.
     *
     * @throws EdgepressException the file or the request is wrong.
     */
    public fun measure(options: BenchOptions, request: BenchRequest): Map<String, Any?> {
        val before = device.state()
        progress.report("load", 0, 1)
        val (model, loadMs) = timed(clock) { open(options) }
        val measured = model.use { runs(it, options, request) + texts(it, options, request) }
        return linkedMapOf(
            "schema_version" to SCHEMA_VERSION,
            "run_id" to options.runId,
            "runtime" to model.runtime,
            "load_ms" to loadMs,
        ) + measured + mapOf(
            "peak_memory_bytes" to device.peakMemoryBytes(),
            "before" to before,
            "after" to device.state() + providers(options, request),
        )
    }

    /** With what the record keeps of the device, for on another device another part is taken. */
    private fun providers(options: BenchOptions, request: BenchRequest): Map<String, Any?> {
        if (options.provider == Provider.CPU) return emptyMap()
        val shares = shares(options, request.inputs.first())
        return mapOf("providers" to shares.mapValues { (_, own) -> mapOf("nodes" to own.nodes, "ms" to own.ms) })
    }

    private fun runs(model: Model, options: BenchOptions, request: BenchRequest): Map<String, Any?> {
        val calls = ArrayList<Call>()
        try {
            request.inputs.mapTo(calls, model::prepare)
            val (logits, firstMs) = timed(clock) { calls.first().run() }
            logits.forEach(::requireFinite)
            val timed = timedRuns(calls, options.warmup, options.runs, options.minMs, device, progress, clock)
            val result = mapOf(
                "first_forward_ms" to firstMs,
                "logits" to logits.map { it.asList() },
                "samples_ms" to timed.samplesMs.asList(),
            )
            val statuses = timed.thermalStatus.asList()
            return if (statuses.isEmpty()) result else result + ("thermal_status" to statuses)
        } finally {
            calls.forEach(Call::close)
        }
    }

    private fun texts(model: Model, options: BenchOptions, request: BenchRequest): Map<String, Any?> {
        if (request.texts.isEmpty()) return emptyMap()
        val folder = ModelFolder.open(options.model)
        val classifier = Classifier(folder, folder.tokenizer(), model)
        val logits = ArrayList<List<Float>>()
        val times = ArrayList<Double>()
        request.texts.forEachIndexed { index, text ->
            val (encoding, tokenizeMs) = timed(clock) { classifier.tokenize(text[0], text.getOrNull(1)) }
            times.add(tokenizeMs)
            logits.add(classifier.logits(listOf(encoding)).single().asList())
            progress.report("texts", index + 1, request.texts.size)
        }
        return mapOf("text_logits" to logits, "tokenize_ms" to times)
    }

    private companion object {
        const val SCHEMA_VERSION = 1
    }
}
