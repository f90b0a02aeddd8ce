package org.edgepress.core

import java.io.File

/**
 * Texts to token ids, the very ids that Hugging Face's tokenizer gives.
 *
 * Everything that differs from model to model it was told by the model's own files.
 */
public class WordPieceTokenizer internal constructor(
    private val addedTokens: AddedTokens,
    private val normalizer: BertNormalizer,
    private val words: WordPiece,
    private val template: Template,
) {
    /**
     * Token ids of a text, or of a text and its [pair].
     *
     * @param pair an empty one is a pair, too; null is none.
     * @param longest number of tokens at which texts are cut, from the longer one of a pair first.
     * @throws EdgepressException [longest] leaves no place for a text, or the tokenizer takes no pairs.
     */
    public fun encode(text: String, pair: String? = null, longest: Int = Int.MAX_VALUE): Encoding {
        val room = longest - template.added(pair != null)
        if (room < 0) throw EdgepressException("$longest tokens leave no place for a text")
        // The rest of a long text is of no use, unless its length decides where its pair is cut.
        val enough = if (pair == null && room < Int.MAX_VALUE) room + 1 else Int.MAX_VALUE
        val first = ids(text, enough)
        val second = pair?.let { ids(it, enough) }
        val (one, other) = cut(first.size, second?.size ?: 0, room)
        val truncated = one < first.size || other < (second?.size ?: 0)
        return template.fill(first.copyOf(one), second?.copyOf(other), truncated)
    }

    private fun ids(text: String, enough: Int): IntArray {
        val ids = IntList()
        addedTokens.split(text, normalizer) { id, normalized ->
            if (id != null) ids.add(id) else words.append(normalized, ids, enough)
            ids.size < enough
        }
        return ids.toArray()
    }

    public companion object {
        /**
         * Reads tokenizer.json of a folder; where there is none, vocab.txt and tokenizer_config.json.
         *
         * @throws EdgepressException they are missing or damaged, or it is no WordPiece tokenizer.
         */
        public fun read(folder: File): WordPieceTokenizer = TokenizerFiles(folder).tokenizer()
    }
}

/** How much of two texts is kept where both together have to fit into [room], as "longest first" has it. */
internal fun cut(first: Int, second: Int, room: Int): Pair<Int, Int> {
    if (first.toLong() + second <= room) return first to second
    val shorter = minOf(first, second)
    var one = shorter
    var other = maxOf(shorter, room - shorter)
    if (one.toLong() + other > room) {
        one = room / 2
        other = one + room % 2
    }
    return if (first > second) other to one else one to other
}
