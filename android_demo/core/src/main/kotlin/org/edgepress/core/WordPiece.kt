package org.edgepress.core

/**
 * Splits a normalized text into words, and each word into the longest pieces that the vocabulary has.
 *
 * Wu et al. 2016, section 4.1; words as BERT has them: at white space, and each punctuation mark by itself.
 *
 * @param prefix what stands before a piece that continues a word.
 * @param longestWord longer words are unknown [code points].
 */
internal class WordPiece(
    private val vocabulary: Map<String, Int>,
    private val unknown: Int,
    private val prefix: String,
    private val longestWord: Int,
) {
    private val longestPiece = vocabulary.keys.maxOfOrNull { it.length } ?: 0

    /** Appends the ids of a text, at least [enough] of them where it has so many. */
    fun append(text: String, ids: IntList, enough: Int) {
        var start = 0
        var at = 0
        while (at < text.length && ids.size < enough) {
            val code = text.codePointAt(at)
            val next = at + Character.charCount(code)
            val mark = Unicode.isPunctuation(code)
            if (mark || Unicode.isSpace(code)) {
                appendWord(text, start, at, ids)
                if (mark) appendWord(text, at, next, ids)
                start = next
            }
            at = next
        }
        if (ids.size < enough) appendWord(text, start, text.length, ids)
    }

    private fun appendWord(text: String, start: Int, end: Int, ids: IntList) {
        if (start == end) return
        val before = ids.size
        var at = if (text.codePointCount(start, end) > longestWord) GIVEN_UP else start
        while (at in start until end) at = appendPiece(text, at, start, end, ids)
        if (at == GIVEN_UP) {
            ids.cut(before)
            ids.add(unknown)
        }
    }

    /** Where the next piece begins; [GIVEN_UP] where there is none here. */
    private fun appendPiece(text: String, at: Int, start: Int, end: Int, ids: IntList): Int {
        var stop = minOf(end, at + longestPiece)
        while (stop > at) {
            val piece = text.substring(at, stop)
            val id = vocabulary[if (at == start) piece else prefix + piece]
            if (id != null) {
                ids.add(id)
                return stop
            }
            stop--
        }
        return GIVEN_UP
    }

    private companion object {
        const val GIVEN_UP = -1
    }
}
