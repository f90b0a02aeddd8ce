package org.edgepress.demo

import android.content.res.ColorStateList
import android.graphics.Typeface
import android.view.LayoutInflater
import android.view.View
import android.view.ViewGroup
import android.widget.ProgressBar
import android.widget.TextView
import org.edgepress.core.Answer
import org.edgepress.core.ProblemType
import org.edgepress.core.Score
import java.util.Locale

/** The classes of the last text with their probabilities as bars, or what goes on or went wrong. */
internal class ResultCard(private val card: View) {
    private val resources = card.resources
    private val message = card.view<TextView>(R.id.message)
    private val bars = card.view<ViewGroup>(R.id.bars)
    private val time = card.view<TextView>(R.id.time)

    fun show(state: State) {
        val said = state.busy ?: state.notice ?: noModels(state) ?: randomWeights(state)
        card.visibility = if (said == null && state.answer == null) View.GONE else View.VISIBLE
        message.visibility = if (said == null) View.GONE else View.VISIBLE
        message.text = said?.text(resources)
        bars.removeAllViews()
        time.text = state.answer?.let(::times)
        state.answer?.let { answer -> ranked(answer).forEach { bars.addView(bar(it, state.chosen?.folder?.problemType)) } }
    }

    private fun noModels(state: State) = Message(R.string.no_models).takeIf { state.models.isEmpty() }

    private fun randomWeights(state: State) =
        Message(R.string.random_weights).takeIf { state.answer != null && state.chosen?.random == true }

    private fun ranked(answer: Answer) = answer.scores.sortedByDescending { it.value }.take(MOST_BARS)

    private fun bar(score: Score, kind: ProblemType?): View {
        val row = LayoutInflater.from(card.context).inflate(R.layout.row_label, bars, false)
        val probability = kind != ProblemType.REGRESSION
        val value = if (probability) "${decimals(PERCENT * score.value, 1)} %" else decimals(score.value, 2)
        row.view<TextView>(R.id.name).emphasize(score.given).text = score.label
        row.view<TextView>(R.id.value).emphasize(score.given).text = value
        fill(row.view<ProgressBar>(R.id.bar), score, probability)
        row.contentDescription = Message(if (score.given) R.string.given else R.string.not_given, score.label, value).text(resources)
        return row
    }

    private fun TextView.emphasize(given: Boolean) = apply { if (given) setTypeface(typeface, Typeface.BOLD) }

    private fun fill(bar: ProgressBar, score: Score, probability: Boolean) {
        bar.visibility = if (probability) View.VISIBLE else View.GONE
        bar.progress = (bar.max * score.value).toInt()
        val color = if (score.given) R.color.accent else R.color.bar_other
        bar.progressTintList = ColorStateList.valueOf(card.context.getColor(color))
    }

    private fun times(answer: Answer): String {
        val took = Message(R.string.time, decimals(answer.tokenizeMs, 2), answer.encoding.size, decimals(answer.inferenceMs, 1))
        val cut = Message(R.string.cut, answer.encoding.size).takeIf { answer.encoding.truncated }
        return listOfNotNull(took, cut).joinToString("\n") { it.text(resources) }
    }

    private companion object {
        const val MOST_BARS = 20
        const val PERCENT = 100
    }
}

/** A number as the user's language writes it. */
internal fun decimals(value: Double, digits: Int): String = String.format(Locale.getDefault(), "%.${digits}f", value)
