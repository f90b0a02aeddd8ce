package org.edgepress.core

/**
 * A text, or a pair, as token ids.
 *
 * @property ids special tokens among them.
 * @property typeIds 0 for the first text, 1 for its pair, as the tokenizer has it; as many as [ids].
 * @property truncated whether the text was longer than the model takes.
 */
public class Encoding(public val ids: IntArray, public val typeIds: IntArray, public val truncated: Boolean) {
    /** The number of tokens. */
    public val size: Int get() = ids.size
}
