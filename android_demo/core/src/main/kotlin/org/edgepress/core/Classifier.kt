package org.edgepress.core

/** Texts to labels: a tokenizer, a model, and what its logits mean. */
public class Classifier(
    public val folder: ModelFolder,
    private val tokenizer: WordPieceTokenizer,
    private val model: Model,
) : AutoCloseable {
    /**
     * Token ids of a text, or of a text and its [pair], cut at the longest input.
     *
     * @param pair an empty one is a pair, too; null is none.
     */
    public fun tokenize(text: String, pair: String? = null): Encoding =
        tokenizer.encode(text, pair, minOf(folder.longest, model.longest ?: folder.longest))

    /**
     * Logits of each text, (texts, labels).
     *
     * @throws EdgepressException they are not as many as labels, or not finite.
     */
    public fun logits(encodings: List<Encoding>): Array<FloatArray> =
        model.logits(Batch.of(encodings, folder.padId)).also { it.forEach(::check) }

    private fun check(logits: FloatArray) {
        if (logits.size != folder.labels.size) {
            throw EdgepressException(
                "${folder.file.name} gives ${logits.size} logits, and config.json names ${folder.labels.size} labels",
                Json.COPY_AGAIN,
            )
        }
        requireFinite(logits)
    }

    /**
     * The labels of one text, and the time that took.
     *
     * @throws EdgepressException as [logits].
     */
    public fun classify(text: String, pair: String? = null): Answer {
        val (encoding, tokenizeMs) = timed(System::nanoTime) { tokenize(text, pair) }
        val (logits, inferenceMs) = timed(System::nanoTime) { logits(listOf(encoding)).single() }
        return Answer(folder.scores(logits), logits, encoding, tokenizeMs, inferenceMs)
    }

    override fun close(): Unit = model.close()

    public companion object {
        /**
         * Loads a model with its tokenizer; takes long, so never on a UI thread.
         *
         * @throws EdgepressException as [OnnxModel.open] and [ModelFolder.tokenizer], or labels do not fit.
         */
        public fun open(folder: ModelFolder, threads: Int = 1, provider: Provider = Provider.CPU): Classifier {
            val tokenizer = folder.tokenizer()
            val model = OnnxModel.open(folder.file, threads, provider)
            if (model.labels != null && model.labels != folder.labels.size) {
                model.close()
                throw EdgepressException(
                    "${folder.file.name} has ${model.labels} labels, and config.json names ${folder.labels.size}",
                    Json.COPY_AGAIN,
                )
            }
            return Classifier(folder, tokenizer, model)
        }
    }
}

/** @throws EdgepressException a logit is NaN or infinite, which no probability can be made of. */
internal fun requireFinite(logits: FloatArray) {
    if (logits.all { it.isFinite() }) return
    throw EdgepressException("the model's logits are not finite", "try its fp32 file")
}
