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
    vocabulary: Map<String, Int>,
    private val unknown: Int,
    prefix: String,
    private val longestWord: Int,
) {
    private val beginnings = HashMap(vocabulary)

    /** Without the prefix, so that none has to be put before every piece that is looked up. */
    private val continuations = HashMap<String, Int>().also { pieces ->
        vocabulary.forEach { (piece, id) -> if (piece.startsWith(prefix)) pieces[piece.removePrefix(prefix)] = id }
    }
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
        val pieces = if (at == start) beginnings else continuations
        var stop = minOf(end, at + longestPiece)
        while (stop > at) {
            val id = pieces[text.substring(at, stop)]
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
