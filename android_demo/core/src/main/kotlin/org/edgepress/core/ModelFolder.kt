package org.edgepress.core

import java.io.File

/**
 * A model file and what lies beside it in its artifact: config.json, the tokenizer's files, manifest.json.
 *
 * @property file the ONNX file.
 * @property labels names of the labels, in the order of the logits.
 * @property thresholds from which probability on each label is given (multi-label); null: one half.
 * @property longest longest input [tokens], special tokens among them.
 * @property manifest what is known of the model's making; null where there is no manifest.json.
 */
public class ModelFolder private constructor(
    public val file: File,
    public val labels: List<String>,
    public val problemType: ProblemType,
    public val thresholds: List<Double>?,
    public val padId: Int,
    public val longest: Int,
    public val manifest: Manifest?,
) {
    /** Size of the model file [bytes]. */
    public val sizeBytes: Long get() = file.length()

    /**
     * Reads the tokenizer beside the model: tokenizer.json, else vocab.txt with tokenizer_config.json.
     *
     * @throws EdgepressException they are missing or damaged, or it is no WordPiece tokenizer.
     */
    public fun tokenizer(): WordPieceTokenizer = WordPieceTokenizer.read(home(file))

    public companion object {
        /**
         * Reads the files beside [model], or in the folder above as in an artifact, and not the model itself.
         *
         * @throws EdgepressException one is missing, truncated or says what no classifier of texts has.
         */
        public fun open(model: File): ModelFolder {
            if (!model.isFile) throw EdgepressException("there is no file $model")
            val home = home(model)
            val manifest = Manifest.readOrNull(home)
            manifest?.requireWhole(home, model)
            return Config.read(home).run {
                ModelFolder(model, labels, problemType, thresholds, padId, longest, manifest)
            }
        }

        /** Its own folder, or where that has no config.json the one above, as in an artifact. */
        private fun home(model: File): File {
            val own = model.absoluteFile.parentFile
            return listOfNotNull(own, own.parentFile).firstOrNull { File(it, Config.FILE).isFile } ?: own
        }
    }
}
