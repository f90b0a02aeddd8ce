package org.edgepress.core

/**
 * What a model makes of a text.
 *
 * @property scores one a label, in the model's order.
 * @property tokenizeMs time of tokenizing, and [inferenceMs] of the model's run, tensors made anew [ms].
 */
public class Answer(
    public val scores: List<Score>,
    public val logits: FloatArray,
    public val encoding: Encoding,
    public val tokenizeMs: Double,
    public val inferenceMs: Double,
)

/**
 * One label of an answer.
 *
 * @property value its probability; of a regression the value itself.
 * @property threshold from which probability on it is given; null where labels compete or there are none.
 * @property given whether the model gives the text this label.
 */
public class Score(
    public val label: String,
    public val value: Double,
    public val threshold: Double?,
    public val given: Boolean,
)

/** The scores of one text's [logits]. */
public fun ModelFolder.scores(logits: FloatArray): List<Score> {
    val values = problemType.values(logits)
    val best = logits.indices.maxByOrNull { logits[it] }
    return labels.mapIndexed { index, label ->
        when (problemType) {
            ProblemType.SINGLE_LABEL_CLASSIFICATION -> Score(label, values[index], null, index == best)
            ProblemType.REGRESSION -> Score(label, values[index], null, true)
            ProblemType.MULTI_LABEL_CLASSIFICATION -> flag(label, values[index], logits[index], thresholds?.get(index))
        }
    }
}

private const val HALF = 0.5

/** At one half it is the logit that decides, above 0, as edgepress scores a model without thresholds. */
private fun flag(label: String, value: Double, logit: Float, threshold: Double?): Score =
    Score(label, value, threshold ?: HALF, if (threshold == null) logit > 0 else value >= threshold)
