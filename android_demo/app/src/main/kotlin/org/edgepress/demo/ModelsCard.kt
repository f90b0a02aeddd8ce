package org.edgepress.demo

import android.view.LayoutInflater
import android.view.View
import android.view.ViewGroup
import android.widget.TextView
import org.edgepress.core.quantile

/** The models side by side, with their size and what was measured; a tap chooses one. */
internal class ModelsCard(private val card: View, private val choose: (StoredModel) -> Unit) {
    private val rows = card.view<ViewGroup>(R.id.models)

    fun show(state: State) {
        rows.removeAllViews()
        state.models.forEach { rows.addView(row(it, state)) }
    }

    private fun row(model: StoredModel, state: State): View {
        val row = LayoutInflater.from(card.context).inflate(R.layout.row_model, rows, false)
        row.isSelected = model === state.chosen
        row.isEnabled = model.folder != null && state.busy == null
        row.setOnClickListener { choose(model) }
        row.view<TextView>(R.id.name).text = model.name
        row.view<TextView>(R.id.size).text = size(model)
        row.view<TextView>(R.id.latency).text = latency(state.figures[model.name])
        return row
    }

    private fun size(model: StoredModel): String {
        val folder = model.folder ?: return model.problem.orEmpty()
        return card.resources.getString(R.string.size, decimals(folder.sizeBytes / BYTES_A_MB, 1), model.precision)
    }

    private fun latency(samplesMs: DoubleArray?): String {
        if (samplesMs == null) return card.resources.getString(R.string.not_measured)
        val (low, median, high) = QUANTILES.map { decimals(samplesMs.quantile(it), 1) }
        return card.resources.getString(R.string.latency, median, low, high, samplesMs.size)
    }

    private companion object {
        const val BYTES_A_MB = 1e6
        val QUANTILES = listOf(0.05, 0.5, 0.95)
    }
}
