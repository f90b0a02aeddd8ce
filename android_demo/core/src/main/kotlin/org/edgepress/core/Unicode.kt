package org.edgepress.core

import java.util.BitSet

/**
 * Properties of code points as Hugging Face's tokenizers library has them.
 *
 * Android's and Java's own tables are of another Unicode version on each release, and the library's parts are
 * of several; `unicode.txt` was made by asking the library itself.
 */
internal object Unicode {
    private val sets = HashMap<String, BitSet>()
    private val lower = HashMap<Int, String>()
    private val decomposed = HashMap<Int, String>()
    private val classes = HashMap<Int, Int>()

    init {
        val table = checkNotNull(Unicode::class.java.getResourceAsStream(TABLE)) { "$TABLE was not packed" }
        table.bufferedReader().useLines { lines -> lines.filterNot { it.startsWith("#") }.forEach(::read) }
    }

    private val space = sets.getValue("space")
    private val dropped = sets.getValue("dropped")
    private val ideograph = sets.getValue("ideograph")
    private val punctuation = sets.getValue("punctuation")
    private val accent = sets.getValue("accent")

    /** White space: what separates words. */
    fun isSpace(code: Int): Boolean = space[code]

    /** Control characters and the like, which cleaning a text drops. */
    fun isDropped(code: Int): Boolean = dropped[code]

    /** What BERT takes for a Chinese character. */
    fun isIdeograph(code: Int): Boolean = ideograph[code]

    fun isPunctuation(code: Int): Boolean = punctuation[code]

    /** Nonspacing marks. */
    fun isAccent(code: Int): Boolean = accent[code]

    /** Null where it is its own. */
    fun lowercase(code: Int): String? =
        if (code < ASCII_END) (if (code in A..Z) ASCII_LOWER[code - A] else null) else lower[code]

    /** Its canonical decomposition, in full; null where it is its own. */
    fun decomposition(code: Int): String? = decomposed[code]

    /** The canonical combining class: in which order marks stand behind a letter; 0 of whatever is none. */
    fun combiningClass(code: Int): Int = classes[code] ?: 0

    /** A line is a property, and its code points in hexadecimal: single ones, ranges, or one and what it becomes. */
    private fun read(line: String) {
        val parts = line.split(' ')
        when (val property = parts[0]) {
            "lower" -> lower[parts[1].toInt(HEX)] = text(parts.drop(2))
            "decomposed" -> decomposed[parts[1].toInt(HEX)] = text(parts.drop(2))
            "class" -> parts.drop(2).forEach { range -> bounds(range).forEach { classes[it] = parts[1].toInt() } }
            else -> sets[property] = BitSet().apply {
                parts.drop(1).map(::bounds).forEach { set(it.first, it.last + 1) }
            }
        }
    }

    private fun bounds(range: String): IntRange =
        range.substringBefore('-').toInt(HEX)..range.substringAfter('-').toInt(HEX)

    private fun text(codes: List<String>): String =
        StringBuilder().apply { codes.forEach { appendCodePoint(it.toInt(HEX)) } }.toString()

    // From the root: a shrinker may give this class another package.
    private const val TABLE = "/org/edgepress/core/unicode.txt"
    private const val HEX = 16
    private const val ASCII_END = 0x80
    private const val A = 'A'.code
    private const val Z = 'Z'.code
    private val ASCII_LOWER = List(Z - A + 1) { ('a' + it).toString() }
}
