package org.edgepress.demo

import org.edgepress.core.ModelFolder

/**
 * One of the models that were put into the app.
 *
 * @property name what the list calls it.
 * @property folder null where something is wrong with it; [problem] says what then.
 */
internal class StoredModel(val name: String, val folder: ModelFolder?, val problem: String?) {
    /** Whether its answers mean nothing. */
    val random: Boolean get() = folder?.manifest?.run { weights == "random" || !headTrained } ?: false

    /** fp32, int8 and so on; empty where nobody wrote it down. */
    val precision: String get() = folder?.run { manifest?.precision(file) }.orEmpty()
}
