package org.edgepress.core

/** Takes accents off letters: decomposes the text (Unicode's NFD) and drops its nonspacing marks. */
internal object Accents {
    fun strip(text: String): String {
        if (text.all { it.code < ASCII_END }) return text
        val codes = decompose(text)
        return StringBuilder(text.length).apply {
            repeat(codes.size) { if (!Unicode.isAccent(codes[it])) appendCodePoint(codes[it]) }
        }.toString()
    }

    private fun decompose(text: String): IntList {
        val codes = IntList()
        forEachCodePoint(text) { code ->
            val parts = Unicode.decomposition(code)
            when {
                code in HANGUL -> decomposeHangul(code - HANGUL.first, codes)
                parts != null -> forEachCodePoint(parts) { appendInOrder(codes, it) }
                else -> appendInOrder(codes, code)
            }
        }
        return codes
    }

    /** Marks are ordered by class behind their letter; those of one class stay as they are. */
    private fun appendInOrder(codes: IntList, code: Int) {
        val order = Unicode.combiningClass(code)
        var at = codes.size
        if (order > 0) while (at > 0 && Unicode.combiningClass(codes[at - 1]) > order) at--
        codes.insert(at, code)
    }

    /** The Unicode Standard, section 3.12: a syllable's number is that of its two or three letters. */
    private fun decomposeHangul(syllable: Int, codes: IntList) {
        codes.add(LEADING + syllable / (VOWELS * TRAILS))
        codes.add(VOWEL + syllable % (VOWELS * TRAILS) / TRAILS)
        if (syllable % TRAILS > 0) codes.add(TRAILING + syllable % TRAILS)
    }

    private const val ASCII_END = 0x80
    private val HANGUL = 0xAC00..0xD7A3
    private const val LEADING = 0x1100
    private const val VOWEL = 0x1161
    private const val TRAILING = 0x11A7
    private const val VOWELS = 21
    private const val TRAILS = 28
}

internal inline fun forEachCodePoint(text: String, action: (Int) -> Unit) {
    var at = 0
    while (at < text.length) {
        val code = text.codePointAt(at)
        action(code)
        at += Character.charCount(code)
    }
}
