package org.edgepress.core

/**
 * Makes of a text what the vocabulary was made of.
 *
 * @param cleans drops control characters and makes all white space a space.
 * @param separatesIdeographs puts each Chinese character into a word by itself.
 * @param stripsAccents decomposes letters and drops their accents.
 */
internal class BertNormalizer(
    private val cleans: Boolean,
    private val separatesIdeographs: Boolean,
    private val stripsAccents: Boolean,
    private val lowercases: Boolean,
) {
    fun normalize(text: String): String {
        val separated = if (cleans || separatesIdeographs) cleanAndSeparate(text) else text
        val stripped = if (stripsAccents) Accents.strip(separated) else separated
        return if (lowercases) lowercase(stripped) else stripped
    }

    private fun cleanAndSeparate(text: String): String = mapCodePoints(text) { code, out ->
        when {
            cleans && Unicode.isDropped(code) -> Unit
            cleans && Unicode.isSpace(code) -> out.append(' ')
            separatesIdeographs && Unicode.isIdeograph(code) -> out.append(' ').appendCodePoint(code).append(' ')
            else -> out.appendCodePoint(code)
        }
    }

    /** Letter by letter: a final sigma is as any other. */
    private fun lowercase(text: String): String = mapCodePoints(text) { code, out ->
        val lower = Unicode.lowercase(code)
        if (lower == null) out.appendCodePoint(code) else out.append(lower)
    }
}

private inline fun mapCodePoints(text: String, map: (Int, StringBuilder) -> Unit): String {
    val out = StringBuilder(text.length)
    forEachCodePoint(text) { map(it, out) }
    return out.toString()
}
