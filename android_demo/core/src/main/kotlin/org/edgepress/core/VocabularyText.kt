package org.edgepress.core

import java.io.File
import java.io.IOException

/** A tokenizer from vocab.txt, where a line's number is its token's id, and tokenizer_config.json. */
internal class VocabularyText(private val file: File, private val config: JsonObject) {
    private val vocabulary = HashMap<String, Int>()

    fun tokenizer(): WordPieceTokenizer {
        lines().forEachIndexed { id, token -> vocabulary[token] = id }
        val normalizer = normalizer()
        val words = WordPiece(vocabulary, id("unk_token"), PREFIX, LONGEST_WORD)
        return WordPieceTokenizer(AddedTokens(addedTokens(), normalizer), normalizer, words, template())
    }

    private fun lines(): List<String> = try {
        file.readLines()
    } catch (error: IOException) {
        throw EdgepressException("${file.name} cannot be read: ${firstLine(error)}", Json.COPY_AGAIN, error)
    }

    private fun normalizer(): BertNormalizer {
        val lowercases = config.booleanOrNull("do_lower_case") ?: true
        return BertNormalizer(
            cleans = true,
            separatesIdeographs = config.booleanOrNull("tokenize_chinese_chars") ?: true,
            stripsAccents = config.booleanOrNull("strip_accents") ?: lowercases,
            lowercases = lowercases,
        )
    }

    /** MPNet's tokenizer is BERT's with other special tokens around a text. */
    private fun template(): Template {
        val mpnet = config.stringOrNull("tokenizer_class").orEmpty().startsWith("MPNet")
        val (cls, sep) = id("cls_token") to id("sep_token")
        return if (mpnet) Template.roberta(cls, sep) else Template.bert(cls, sep)
    }

    private fun id(role: String): Int {
        val token = config.textOrContent(role) ?: config.missing(role)
        return vocabulary[token] ?: throw EdgepressException("${file.name} has no '$token'", Json.COPY_AGAIN)
    }

    private fun addedTokens(): List<AddedToken> {
        val listed = config.objectOrNull("added_tokens_decoder") ?: return special()
        return listed.names.map { added(listed.objectAt(it), it.toIntOrNull() ?: listed.fail("'$it' is no id")) }
    }

    private fun special(): List<AddedToken> = ROLES.mapNotNull(config::textOrContent).distinct().mapNotNull { token ->
        val id = vocabulary[token] ?: return@mapNotNull null
        AddedToken(token, id, stripsLeft = false, stripsRight = false, normalized = false)
    }

    private fun added(token: JsonObject, id: Int) = AddedToken(
        token.string("content"),
        id,
        stripsLeft = token.booleanOrNull("lstrip") ?: false,
        stripsRight = token.booleanOrNull("rstrip") ?: false,
        normalized = token.booleanOrNull("normalized") ?: false,
    )

    private companion object {
        // vocab.txt and its config do not say these; BERT's tokenizers have no others.
        const val PREFIX = "##"
        const val LONGEST_WORD = 100
        val ROLES = listOf("pad_token", "unk_token", "cls_token", "sep_token", "mask_token", "bos_token", "eos_token")
    }
}
