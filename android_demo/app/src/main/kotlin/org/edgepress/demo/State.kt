package org.edgepress.demo

import android.content.res.Resources
import org.edgepress.core.Answer

/** A sentence of the app: a string resource and what stands in its places. */
internal class Message(private val id: Int, private vararg val arguments: Any) {
    fun text(resources: Resources): String = resources.getString(id, *arguments)
}

/**
 * What is to be seen.
 *
 * @property busy what is going on; null where nothing is.
 * @property notice what went wrong last.
 * @property figures times of the models that were measured, by name.
 * @property report the last benchmark as JSON, to be shared.
 */
internal data class State(
    val models: List<StoredModel> = emptyList(),
    val chosen: StoredModel? = null,
    val busy: Message? = null,
    val measuring: Boolean = false,
    val notice: Message? = null,
    val answer: Answer? = null,
    val figures: Map<String, DoubleArray> = emptyMap(),
    val report: String? = null,
)
