package org.edgepress.core

import java.io.File

/**
 * The part of a model that one provider ran.
 *
 * @property nodes operations, of which one may hold what were many of the file's, and their time together [ms].
 */
public class Share(public val nodes: Int, public val ms: Double)

/** The shares in a trace of ONNX Runtime: provider -> what it ran. */
internal fun sharesOf(trace: File): Map<String, Share> {
    val events = Json.readFile(trace) { it.value() } as? List<*> ?: emptyList<Any?>()
    return events.map { JsonObject(trace.name, it as Map<*, *>) }
        .filter { it.stringOrNull("cat") == "Node" && it.string("name").endsWith("_kernel_time") }
        .groupBy { it.objectAt("args").string("provider") }
        .mapValues { (_, own) -> Share(own.size, own.sumOf { it.int("dur") } / MICROSECONDS) }
}

private const val MICROSECONDS = 1e3
