package org.edgepress.core

/** A tokenizer from tokenizer.json, the format of Hugging Face's tokenizers library. */
internal class TokenizerJson(private val json: JsonObject) {
    private val model = kind("model", "WordPiece")

    fun tokenizer(): WordPieceTokenizer {
        kind("pre_tokenizer", "BertPreTokenizer")
        val normalizer = normalizer(kind("normalizer", "BertNormalizer"))
        return WordPieceTokenizer(AddedTokens(addedTokens(), normalizer), normalizer, words(), template())
    }

    private fun kind(part: String, wanted: String): JsonObject {
        val found = json.objectAt(part)
        val type = found.stringOrNull("type")
        return if (type == wanted) found else throw unsupported(part, type)
    }

    private fun unsupported(part: String, type: String?) = EdgepressException(
        "tokenizer.json: the $part '$type' is not supported",
        "choose a model with a WordPiece tokenizer: BERT, DistilBERT, MiniLM, MPNet",
    )

    private fun normalizer(own: JsonObject): BertNormalizer {
        val lowercases = own.booleanOrNull("lowercase") ?: own.missing("lowercase")
        return BertNormalizer(
            cleans = own.booleanOrNull("clean_text") ?: own.missing("clean_text"),
            separatesIdeographs = own.booleanOrNull("handle_chinese_chars") ?: own.missing("handle_chinese_chars"),
            stripsAccents = own.booleanOrNull("strip_accents") ?: lowercases,
            lowercases = lowercases,
        )
    }

    private fun words(): WordPiece {
        val ids = model.objectAt("vocab")
        val vocabulary = ids.names.associateWithTo(HashMap(), ids::int)
        val unknown = model.string("unk_token")
        return WordPiece(
            vocabulary,
            vocabulary[unknown] ?: model.fail("the vocabulary has no '$unknown'"),
            model.string("continuing_subword_prefix"),
            model.int("max_input_chars_per_word"),
        )
    }

    private fun addedTokens(): List<AddedToken> = json.objects("added_tokens").map { token ->
        // What is a word by itself there depends on a regular expression's table of letters.
        if (token.booleanOrNull("single_word") == true) throw unsupported("single_word token", token.string("content"))
        AddedToken(
            token.string("content"),
            token.int("id"),
            stripsLeft = token.booleanOrNull("lstrip") ?: false,
            stripsRight = token.booleanOrNull("rstrip") ?: false,
            normalized = token.booleanOrNull("normalized") ?: false,
        )
    }

    private fun template(): Template {
        val own = json.objectOrNull("post_processor")
        return when (val type = own?.stringOrNull("type")) {
            null -> Template(listOf(Template.text(0, 0)), listOf(Template.text(0, 0), Template.text(1, 1)))
            "BertProcessing" -> Template.bert(special(own, "cls"), special(own, "sep"))
            "RobertaProcessing" -> Template.roberta(special(own, "cls"), special(own, "sep"))
            "TemplateProcessing" -> Template(parts(own, "single"), parts(own, "pair").ifEmpty { null })
            else -> throw unsupported("post_processor", type)
        }
    }

    /** The id in a list of a token and its id. */
    private fun special(own: JsonObject, name: String): Int =
        (own.listOrNull(name)?.getOrNull(1) as? Long)?.toInt() ?: own.missing(name)

    private fun parts(own: JsonObject, which: String): List<Template.Part> = own.objects(which).map { part ->
        part.objectOrNull("Sequence")?.let { Template.text(if (it.string("id") == "A") 0 else 1, it.int("type_id")) }
            ?: part.objectAt("SpecialToken").let { Template.special(it.int("type_id"), *ids(own, it.string("id"))) }
    }

    private fun ids(own: JsonObject, token: String): IntArray {
        val ids = own.objectAt("special_tokens").objectAt(token).listOrNull("ids").orEmpty()
        return IntArray(ids.size) { (ids[it] as? Long)?.toInt() ?: own.fail("an id of '$token' is no number") }
    }
}
