package org.edgepress.core

/**
 * Which special tokens stand around a text, and around a pair.
 *
 * @param pair null where the tokenizer has none.
 */
internal class Template(private val single: List<Part>, private val pair: List<Part>?) {
    /** One place: a text (0 or 1), or special tokens. */
    class Part(val text: Int?, val ids: IntArray, val type: Int)

    /** The number of special tokens. */
    fun added(paired: Boolean): Int = parts(paired).sumOf { it.ids.size }

    fun fill(first: IntArray, second: IntArray?, truncated: Boolean): Encoding {
        val parts = parts(second != null)
        val pieces = parts.map { part -> if (part.text == null) part.ids else if (part.text == 0) first else second!! }
        val types = IntArray(pieces.sumOf { it.size })
        var at = 0
        for ((part, piece) in parts.zip(pieces)) {
            types.fill(part.type, at, at + piece.size)
            at += piece.size
        }
        return Encoding(pieces.fold(IntArray(0)) { all, piece -> all + piece }, types, truncated)
    }

    private fun parts(paired: Boolean): List<Part> =
        if (paired) pair ?: throw EdgepressException("this tokenizer takes no pairs of texts") else single

    companion object {
        fun text(which: Int, type: Int): Part = Part(which, IntArray(0), type)

        fun special(type: Int, vararg ids: Int): Part = Part(null, ids, type)

        /** `[CLS] text [SEP]` and `[CLS] text [SEP] pair [SEP]`, the pair of its own type. */
        fun bert(cls: Int, sep: Int): Template {
            val single = listOf(special(0, cls), text(0, 0), special(0, sep))
            return Template(single, single + listOf(text(1, 1), special(1, sep)))
        }

        /** `<s> text </s>` and `<s> text </s> </s> pair </s>`, all of one type. */
        fun roberta(cls: Int, sep: Int): Template {
            val single = listOf(special(0, cls), text(0, 0), special(0, sep))
            return Template(single, single + listOf(special(0, sep), text(1, 0), special(0, sep)))
        }
    }
}
