package org.edgepress.core

import java.io.File
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder

class ClassifierTest {
    @get:Rule
    val temporary = TemporaryFolder()

    private fun classifier(model: Model, config: String = "{}"): Classifier {
        val folder = ModelFolder.open(modelFolder(temporary.newFolder(), config))
        return Classifier(folder, folder.tokenizer(), model)
    }

    @Test
    fun textsOfSeveralLengthsAreOneBatch() {
        classifier(FakeModel(), """{"pad_token_id": 1000}""").use { own ->
            val encodings = listOf("", "the film", "\uD83D\uDE00").map { own.tokenize(it) }
            val logits = own.logits(encodings)
            val longest = encodings.maxOf { it.size }
            encodings.zip(logits.asList()).forEach { (encoding, row) ->
                assertEquals((encoding.ids.sum() + 1000 * (longest - encoding.size)).toFloat(), row[0])
                assertEquals(encoding.size.toFloat(), row[1])
            }
        }
    }

    @Test
    fun cutAtTheModelsLongest() {
        val own = classifier(FakeModel(), """{"max_position_embeddings": 16}""")
        assertEquals(16, own.classify("film ".repeat(20_000)).encoding.size)
    }

    @Test
    fun labelsThatDoNotFit() {
        val own = classifier(FakeModel(), """{"id2label": {"0": "a", "1": "b", "2": "c"}}""")
        assertRefused("2 logits", "3 labels") { own.classify("film") }
    }

    @Test
    fun logitsThatAreNone() {
        val own = classifier(object : Model by FakeModel() {
            override fun prepare(batch: Batch) = object : Call {
                override fun run() = arrayOf(floatArrayOf(Float.NaN, 0f))

                override fun close() = Unit
            }
        })
        assertRefused("not finite") { own.classify("film") }
    }

    @Test
    fun answersHaveTimesAndTokens() {
        val answer = classifier(FakeModel()).classify("the film", "its ending")
        assertTrue(answer.tokenizeMs > 0 && answer.inferenceMs > 0)
        assertArrayEquals(intArrayOf(0, 1), answer.encoding.typeIds.distinct().toIntArray())
    }

    @Test
    fun filesThatAreNoModels() {
        assertRefused("there is no file") { OnnxModel.open(File(temporary.root, "none.onnx")) }
        val file = temporary.newFile("text.onnx").apply { writeText("this is no model") }
        assertRefused("text.onnx cannot be opened") { OnnxModel.open(file) }
        assertRefused("text.onnx cannot be opened") { OnnxModel.open(file.apply { writeText("") }) }
    }

    @Test
    fun providersByName() {
        assertEquals(Provider.XNNPACK, Provider.of("xnnpack"))
        assertTrue("cpu, xnnpack, nnapi" in assertRefused("'gpu' is no provider") { Provider.of("gpu") }.hint)
    }
}
