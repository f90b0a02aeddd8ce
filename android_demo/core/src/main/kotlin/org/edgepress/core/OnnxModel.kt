package org.edgepress.core

import ai.onnxruntime.OnnxJavaType
import ai.onnxruntime.OnnxTensor
import ai.onnxruntime.OrtEnvironment
import ai.onnxruntime.OrtException
import ai.onnxruntime.OrtSession
import ai.onnxruntime.TensorInfo
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder

/** An ONNX file, run by ONNX Runtime. */
public class OnnxModel private constructor(private val session: OrtSession, private val name: String) : Model {
    private val environment = OrtEnvironment.getEnvironment()
    private val shapes: Map<String, LongArray> = session.inputInfo.mapValues { (input, it) -> shape(input, it.info) }

    override val runtime: String = "onnxruntime ${environment.version}"

    /** The number of labels that it gives logits for; null where the file leaves it open. */
    public val labels: Int? = outputLabels()

    /** Set where the file takes one sequence length only. */
    override val longest: Int? = shapes.values.first()[1].toInt().takeIf { it > 0 }

    private val fixedRows: Int? = shapes.values.first()[0].toInt().takeIf { it > 0 }

    private fun shape(input: String, info: Any): LongArray {
        if (input !in Inputs.ALL) throw misfit("takes '$input'")
        val fits = info is TensorInfo && info.type == OnnxJavaType.INT64 && info.shape.size == 2
        return if (fits) info.shape else throw misfit("takes '$input' as $info")
    }

    private fun outputLabels(): Int? {
        if (session.numOutputs != 1L) throw misfit("has the outputs ${session.outputNames.joinToString()}")
        val info = session.outputInfo.values.single().info
        val fits = info is TensorInfo && info.type == OnnxJavaType.FLOAT && info.shape.size == 2
        if (!fits) throw misfit("gives ${session.outputNames.single()} as $info")
        return info.shape[1].toInt().takeIf { it > 0 }
    }

    private fun misfit(what: String) =
        EdgepressException("$name is no classifier of texts: it $what", "export it with python -m export.onnx")

    override fun prepare(batch: Batch): Call {
        val rows = fixedRows ?: batch.rows
        val columns = longest ?: batch.columns
        if (rows < batch.rows || columns < batch.columns) {
            val asked = "${batch.rows} of ${batch.columns}"
            throw EdgepressException("$name takes $rows rows of $columns tokens, and not $asked")
        }
        val padded = batch.padded(rows, columns)
        return OnnxCall(shapes.keys.associateWith { tensor(padded, it) }, batch.rows)
    }

    private fun tensor(batch: Batch, input: String): OnnxTensor {
        val numbers = batch[input] ?: throw EdgepressException("$name takes '$input', and the request has none")
        // Outside the heap, so that no run copies it.
        val bytes = ByteBuffer.allocateDirect(numbers.size * Long.SIZE_BYTES).order(ByteOrder.nativeOrder())
        val content = bytes.asLongBuffer().apply { put(numbers).rewind() }
        val shape = longArrayOf(batch.rows.toLong(), batch.columns.toLong())
        return attempt { OnnxTensor.createTensor(environment, content, shape) }
    }

    private inner class OnnxCall(private val tensors: Map<String, OnnxTensor>, private val rows: Int) : Call {
        override fun run(): Array<FloatArray> = attempt {
            session.run(tensors).use { result ->
                val logits = (result.get(0) as OnnxTensor).floatBuffer
                val columns = logits.remaining() / tensors.values.first().info.shape[0].toInt()
                Array(rows) { FloatArray(columns).also(logits::get) }
            }
        }

        override fun close() = tensors.values.forEach { it.close() }
    }

    private fun <T> attempt(action: () -> T): T = try {
        action()
    } catch (error: OrtException) {
        throw EdgepressException("$name cannot be run: ${firstLine(error)}", cause = error)
    }

    override fun close(): Unit = session.close()

    public companion object {
        /**
         * Opens a file by its path, so that its weights never lie on the Java heap.
         *
         * @param threads that share one operation; 0 leaves their number to the runtime.
         * @throws EdgepressException it is missing or truncated, or no classifier of texts.
         */
        public fun open(file: File, threads: Int = 1, provider: Provider = Provider.CPU): OnnxModel =
            open(file, threads, provider, profile = null)

        private fun open(file: File, threads: Int, provider: Provider, profile: File?): OnnxModel {
            if (!file.isFile) throw EdgepressException("there is no file $file")
            val session = opening(file) { session(file, threads, provider, profile) }
            return try {
                opening(file) { OnnxModel(session, file.name) }
            } catch (error: EdgepressException) {
                session.close()
                throw error
            }
        }

        /**
         * Which provider runs how much of a file, from one run of its own: being profiled takes time.
         *
         * @return provider -> its part; those that ran nothing are not there.
         * @throws EdgepressException as [open], [prepare] and [Call.run].
         */
        public fun shares(file: File, threads: Int, provider: Provider, batch: Batch): Map<String, Share> {
            val folder = File.createTempFile("profile", "").apply { delete() && mkdir() }
            return try {
                open(file, threads, provider, File(folder, "trace")).use {
                    it.logits(batch)
                    sharesOf(File(it.session.endProfiling()))
                }
            } finally {
                folder.deleteRecursively()
            }
        }

        private inline fun <T> opening(file: File, action: () -> T): T = try {
            action()
        } catch (error: OrtException) {
            throw EdgepressException("${file.name} cannot be opened: ${firstLine(error)}", Json.COPY_AGAIN, error)
        }

        private fun session(file: File, threads: Int, provider: Provider, profile: File?): OrtSession =
            OrtSession.SessionOptions().use { options ->
                options.setIntraOpNumThreads(threads)
                provider.addTo(options, threads)
                profile?.let { options.enableProfiling(it.path) }
                OrtEnvironment.getEnvironment().createSession(file.path, options)
            }
    }
}
