package org.edgepress.core

/**
 * Something is wrong with a file, a text or a request, and the user can do something about it.
 *
 * @param message one line: what is wrong and where.
 * @param hint what to do next; empty where there is nothing.
 */
public class EdgepressException(
    override val message: String,
    public val hint: String = "",
    cause: Throwable? = null,
) : Exception(message, cause)

/** The first line of what a library said; the rest is of use to its authors only. */
internal fun firstLine(error: Throwable): String {
    val said = error.message?.lineSequence()?.firstOrNull { it.isNotBlank() }?.trim()
    return said ?: error.javaClass.simpleName
}
