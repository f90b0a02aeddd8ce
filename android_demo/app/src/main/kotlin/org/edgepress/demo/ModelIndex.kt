package org.edgepress.demo

import org.edgepress.core.EdgepressException
import org.edgepress.core.Json

/**
 * A model as the index of the assets lists it.
 *
 * @property folder below the assets, and in storage; holds [file], the model, and what lies beside it.
 * @property files name -> size [bytes].
 */
internal class ModelEntry(val name: String, val folder: String, val file: String, val files: Map<String, Long>)

/** `index.json`, as `python -m export.android` writes it. */
internal object ModelIndex {
    private const val SCHEMA_VERSION = 1L

    /** @throws EdgepressException it is damaged, or written for another app than this. */
    fun parse(text: String): List<ModelEntry> = try {
        val content = Json.parse(text) as Map<*, *>
        if (content["schema_version"] != SCHEMA_VERSION) throw EdgepressException("the app's list of models is of another version")
        (content["models"] as List<*>).map { entry(it as Map<*, *>) }
    } catch (error: ClassCastException) {
        throw EdgepressException("the app's list of models is damaged", "install the app again", error)
    } catch (error: NullPointerException) {
        throw EdgepressException("the app's list of models is incomplete", "install the app again", error)
    }

    private fun entry(content: Map<*, *>) = ModelEntry(
        content["name"] as String,
        content["folder"] as String,
        content["file"] as String,
        (content["files"] as Map<*, *>).entries.associate { it.key as String to it.value as Long },
    )
}
