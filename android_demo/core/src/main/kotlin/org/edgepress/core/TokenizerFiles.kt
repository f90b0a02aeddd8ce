package org.edgepress.core

import java.io.File

/** The files that a folder's tokenizer can be read from. */
internal class TokenizerFiles(private val folder: File) {
    fun tokenizer(): WordPieceTokenizer = when {
        File(folder, WHOLE).isFile -> TokenizerJson(JsonObject.read(File(folder, WHOLE))).tokenizer()
        File(folder, WORDS).isFile -> VocabularyText(File(folder, WORDS), config()).tokenizer()
        else -> throw EdgepressException("neither $WHOLE nor $WORDS is beside the model", Json.COPY_AGAIN)
    }

    /** Without it nobody knows whether the vocabulary is of lower-case words. */
    private fun config(): JsonObject {
        val file = File(folder, CONFIG)
        if (!file.isFile) throw EdgepressException("$CONFIG is missing beside $WORDS", Json.COPY_AGAIN)
        return JsonObject.read(file)
    }

    companion object {
        private const val WHOLE = "tokenizer.json"
        private const val WORDS = "vocab.txt"
        private const val CONFIG = "tokenizer_config.json"
        val NAMES = listOf(WHOLE, WORDS, CONFIG)
    }
}
