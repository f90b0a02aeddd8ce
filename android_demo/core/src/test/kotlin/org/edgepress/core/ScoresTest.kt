package org.edgepress.core

import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder

class ScoresTest {
    @get:Rule
    val temporary = TemporaryFolder()

    private fun scores(config: String, vararg logits: Float): List<Score> =
        ModelFolder.open(modelFolder(temporary.newFolder(), config)).scores(logits)

    private fun given(scores: List<Score>) = scores.filter { it.given }.joinToString { it.label }

    @Test
    fun oneLabel() {
        val scores = scores("""{"id2label": {"0": "a", "1": "b", "2": "c"}}""", 1f, 2f, 2f)
        assertEquals("b", given(scores)) // the first of those that are alike, as in NumPy
        assertEquals(1.0, scores.sumOf { it.value }, 1e-12)
        assertEquals(0.15536240349696362, scores[0].value, 1e-12)
    }

    @Test
    fun logitsThatWouldOverflow() {
        assertEquals(listOf(0.0, 1.0), scores("{}", -3e38f, 3e38f).map { it.value })
    }

    @Test
    fun anyLabels() {
        val config = """"id2label": {"0": "a", "1": "b"}, "problem_type": "multi_label_classification""""
        assertEquals("b", given(scores("{$config}", 0f, 1e-3f)))
        val thresholds = scores("""{$config, "edgepress_thresholds": [0.5, 0.9]}""", 0f, 2f)
        assertEquals("a", given(thresholds))
        assertEquals(listOf(0.5, 0.9), thresholds.map { it.threshold })
        assertEquals(0.8807970779778823, thresholds[1].value, 1e-12)
    }

    @Test
    fun aValue() {
        val score = scores("""{"id2label": {"0": "similarity"}, "problem_type": "regression"}""", 3.5f).single()
        assertEquals(3.5, score.value, 0.0)
    }

    @Test
    fun quantiles() {
        val samples = doubleArrayOf(4.0, 1.0, 3.0, 2.0)
        assertEquals(listOf(1.0, 2.5, 3.7, 4.0), listOf(0.0, 0.5, 0.9, 1.0).map(samples::quantile))
        assertEquals(7.0, doubleArrayOf(7.0).quantile(0.9), 0.0)
        assertThrows(IllegalArgumentException::class.java) { DoubleArray(0).quantile(0.5) }
    }
}
