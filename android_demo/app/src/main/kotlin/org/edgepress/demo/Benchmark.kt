package org.edgepress.demo

import org.edgepress.core.Batch
import org.edgepress.core.BenchOptions
import org.edgepress.core.BenchRequest
import org.edgepress.core.Device
import org.edgepress.core.Json
import org.edgepress.core.ModelFolder
import org.edgepress.core.OnnxModel
import org.edgepress.core.Bench as Measurement

/**
 * The app's own measurement: all models in turn, several times, each time opened anew.
 *
 * @param progress is told the model's name and the percentage of the whole; what it throws ends the measurement.
 */
internal class Benchmark(private val device: Device, private val progress: (String, Int) -> Unit) {
    /** @throws org.edgepress.core.EdgepressException one of the models cannot be run. */
    fun run(models: List<StoredModel>, text: String): Report {
        val turns = List(ROUNDS) { round -> models.map { round to it } }.flatten()
        val launches = turns.mapIndexed { at, (round, model) -> launch(model, round, text) { progress(model.name, percent(at, turns.size)) } }
        return Report(launches)
    }

    private fun percent(done: Int, of: Int) = PERCENT * done / of

    private fun launch(model: StoredModel, round: Int, text: String, progress: () -> Unit): Launch {
        val folder = requireNotNull(model.folder)
        val measurement = Measurement(device, { _, _, _ -> progress() }) {
            withNativeRuntime { OnnxModel.open(it.model, it.threads, it.provider) }
        }
        val options = BenchOptions(folder.file, folder.file, THREADS, WARM_UP, RUNS, MIN_MS, "${model.name}-$round")
        val batch = Batch.of(listOf(folder.tokenizer().encode(text, longest = folder.longest)), folder.padId)
        return Launch(model, folder, measurement.measure(options, BenchRequest(listOf(batch))) + ("tokens" to batch.columns))
    }

    private companion object {
        const val ROUNDS = 3
        const val THREADS = 1
        const val WARM_UP = 10
        const val RUNS = 20
        const val MIN_MS = 500.0
        const val PERCENT = 100
    }
}

/** One model, opened and measured once; [result] is what the contract with device_bench calls a result. */
internal class Launch(val model: StoredModel, val folder: ModelFolder, val result: Map<String, Any?>) {
    val samplesMs: List<Double> get() = (result.getValue("samples_ms") as List<*>).map { it as Double }

    fun content(): Map<String, Any?> = mapOf(
        "model" to model.name,
        "file" to folder.file.name,
        "precision" to model.precision,
        "size_bytes" to folder.sizeBytes,
    ) + result
}

/** What a benchmark found. */
internal class Report(private val launches: List<Launch>) {
    /** Model's name -> the times of all its runs [ms]. */
    val figures: Map<String, DoubleArray> = launches.groupBy { it.model.name }
        .mapValues { (_, own) -> own.flatMap { it.samplesMs }.toDoubleArray() }

    /** To be shared; the text itself stays on the phone. */
    fun json(): String = Json.write(
        mapOf("schema_version" to 1, "device" to PhoneDevice.description(), "launches" to launches.map { it.content() }),
    )
}
