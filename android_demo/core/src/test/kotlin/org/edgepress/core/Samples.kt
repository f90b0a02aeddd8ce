package org.edgepress.core

import java.io.File
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue

/** The files among the tests' resources. */
fun resource(name: String): File = File(checkNotNull(Json::class.java.getResource("/$name")) { "no $name" }.toURI())

/** Makes sure that [action] fails with one line that has these [words]; gives the exception. */
fun assertRefused(vararg words: String, action: () -> Unit): EdgepressException {
    val error = assertThrows(EdgepressException::class.java) { action() }
    words.forEach { assertTrue("'${error.message}' lacks '$it'", it in error.message) }
    assertTrue(error.message, '\n' !in error.message)
    return error
}

/** Answers with the sums of ids and of what is attended to, as two labels; counts its calls. */
class FakeModel(private val fault: (Batch) -> Unit = {}) : Model {
    var runs = 0
    var open = 0
    var closed = false

    override val runtime = "fake 1.0"
    override val longest: Int? = null

    override fun prepare(batch: Batch): Call {
        open++
        return object : Call {
            override fun run(): Array<FloatArray> {
                runs++
                fault(batch)
                return Array(batch.rows) { floatArrayOf(sum(batch, Inputs.IDS, it), sum(batch, Inputs.MASK, it)) }
            }

            override fun close() {
                open--
            }
        }
    }

    private fun sum(batch: Batch, input: String, row: Int): Float =
        (0 until batch.columns).sumOf { batch[input]!![row * batch.columns + it] }.toFloat()

    override fun close() {
        closed = true
    }
}

/** A folder with the small tokenizer, a config and an empty model. */
fun modelFolder(folder: File, config: String = """{"id2label": {"0": "no", "1": "yes"}}"""): File {
    resource("small/tokenizer.json").copyTo(File(folder, "tokenizer.json"))
    File(folder, "config.json").writeText(config)
    return File(folder, "model.onnx").apply { writeText("none") }
}
