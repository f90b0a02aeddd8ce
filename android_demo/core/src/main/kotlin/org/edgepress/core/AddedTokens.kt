package org.edgepress.core

/** A token that is found in the text itself, before it is split into words. */
internal class AddedToken(
    val content: String,
    val id: Int,
    val stripsLeft: Boolean,
    val stripsRight: Boolean,
    val normalized: Boolean,
)

/** Finds added tokens, such as [SEP], in a text; of several that begin at a place the longest counts. */
internal class AddedTokens(tokens: List<AddedToken>, normalizer: BertNormalizer) {
    private val raw = Matcher(tokens.filterNot { it.normalized }.associateBy { it.content })
    private val normalized = Matcher(tokens.filter { it.normalized }.associateBy { normalizer.normalize(it.content) })

    /**
     * Cuts a text at its added tokens.
     *
     * @param piece takes the id of an added token, or null and the normalized text between two; says
     *   whether there is to be more.
     */
    fun split(text: String, normalizer: BertNormalizer, piece: (Int?, String) -> Boolean) {
        raw.split(text) { id, part ->
            if (id != null) piece(id, part) else normalized.split(normalizer.normalize(part), piece)
        }
    }

    private class Matcher(tokens: Map<String, AddedToken>) {
        private val byFirst = tokens.toList().filter { it.first.isNotEmpty() }.groupBy { it.first[0] }
            .mapValues { (_, same) -> same.sortedByDescending { it.first.length } }

        fun split(text: String, piece: (Int?, String) -> Boolean): Boolean {
            var start = 0
            var at = 0
            while (at < text.length && byFirst.isNotEmpty()) {
                val (content, token) = match(text, at) ?: (null to null)
                if (content == null || token == null) {
                    at++
                    continue
                }
                val from = if (token.stripsLeft) spaceBefore(text, at) else at
                if (start < from && !piece(null, text.substring(start, from))) return false
                if (!piece(token.id, content)) return false
                at += content.length
                start = if (token.stripsRight) spaceAfter(text, at) else at
            }
            return start >= text.length || piece(null, text.substring(start))
        }

        private fun match(text: String, at: Int): Pair<String, AddedToken>? =
            byFirst[text[at]]?.firstOrNull { text.startsWith(it.first, at) }

        private fun spaceBefore(text: String, at: Int): Int {
            var from = at
            while (from > 0 && Unicode.isSpace(text[from - 1].code)) from--
            return from
        }

        private fun spaceAfter(text: String, at: Int): Int {
            var to = at
            while (to < text.length && Unicode.isSpace(text[to].code)) to++
            return to
        }
    }
}
