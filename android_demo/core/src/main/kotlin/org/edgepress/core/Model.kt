package org.edgepress.core

/** What gives logits for token ids. */
public interface Model : AutoCloseable {
    /** Name and version of what runs it, such as `onnxruntime 1.22.0`. */
    public val runtime: String

    /** The longest input that it takes [tokens]; null where that is not the model's but the tokenizer's to say. */
    public val longest: Int?

    /**
     * Everything of a call that is not the call: checks, and tensors that hold the numbers.
     *
     * @throws EdgepressException the batch does not fit the model.
     */
    public fun prepare(batch: Batch): Call
}

/** One batch as tensors; can be run any number of times. */
public interface Call : AutoCloseable {
    /**
     * Logits of shape (rows, labels).
     *
     * @throws EdgepressException the runtime cannot run it: an id beyond the vocabulary, too long an input.
     */
    public fun run(): Array<FloatArray>
}

/** The logits of one batch. */
public fun Model.logits(batch: Batch): Array<FloatArray> = prepare(batch).use { it.run() }
