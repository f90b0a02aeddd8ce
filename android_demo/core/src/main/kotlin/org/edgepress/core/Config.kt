package org.edgepress.core

import java.io.File

/** What config.json says of a model, as transformers and edgepress write it. */
internal class Config private constructor(private val json: JsonObject) {
    val labels: List<String> = json.objectOrNull("id2label")?.let(::labels) ?: List(LABELS) { "LABEL_$it" }
    val problemType: ProblemType = ProblemType.of(json.stringOrNull("problem_type"), labels.size)
    val thresholds: List<Double>? = json.numbersOrNull("edgepress_thresholds")?.also(::check)
    val padId: Int = json.intOrNull("pad_token_id") ?: 0
    val longest: Int = longest()

    init {
        val kinds = json.listOrNull("architectures").orEmpty()
        if (kinds.any { it.toString().endsWith("ForQuestionAnswering") }) {
            throw EdgepressException("this model answers questions: it labels no texts", "choose a classifier")
        }
    }

    private fun labels(names: JsonObject): List<String> = List(names.names.size) { names.string(it.toString()) }

    private fun check(thresholds: List<Double>) {
        if (thresholds.size != labels.size) json.fail("${thresholds.size} thresholds for ${labels.size} labels")
        if (thresholds.any { it !in 0.0..1.0 }) json.fail("a threshold is not between 0 and 1")
    }

    /** As edgepress counts: positions of RoBERTa's family begin behind the padding id. No text is longer than 512 here. */
    private fun longest(): Int {
        val positions = json.intOrNull("max_position_embeddings") ?: LONGEST
        val skipped = if (json.stringOrNull("model_type") in BEHIND_PADDING) padId + 1 else 0
        return (positions - skipped).coerceAtMost(LONGEST)
    }

    companion object {
        const val FILE = "config.json"
        private const val LONGEST = 512

        /** So many labels transformers takes where config.json names none. */
        private const val LABELS = 2
        private val BEHIND_PADDING = setOf("roberta", "mpnet")

        fun read(folder: File): Config {
            val file = File(folder, FILE)
            if (!file.isFile) throw EdgepressException("$FILE is missing beside the model", Json.COPY_AGAIN)
            return Config(JsonObject.read(file))
        }
    }
}
