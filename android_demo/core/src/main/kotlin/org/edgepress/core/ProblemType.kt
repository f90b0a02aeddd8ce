package org.edgepress.core

import kotlin.math.exp

/** What the logits of a model mean. */
public enum class ProblemType {
    /** One label is right: the probabilities of all add up to 1. */
    SINGLE_LABEL_CLASSIFICATION {
        override fun values(logits: FloatArray): DoubleArray {
            val largest = logits.maxOf { it.toDouble() }
            val powers = DoubleArray(logits.size) { exp(logits[it] - largest) }
            return powers.sum().let { sum -> DoubleArray(powers.size) { powers[it] / sum } }
        }
    },

    /** Any number of labels is right: each has its own probability. */
    MULTI_LABEL_CLASSIFICATION {
        override fun values(logits: FloatArray) = DoubleArray(logits.size) { 1 / (1 + exp(-logits[it].toDouble())) }
    },

    /** The logit itself is the answer. */
    REGRESSION {
        override fun values(logits: FloatArray) = DoubleArray(logits.size) { logits[it].toDouble() }
    }, ;

    /** Probabilities of one text's [logits]; of a regression the value itself. */
    public abstract fun values(logits: FloatArray): DoubleArray

    internal companion object {
        /** By its name in config.json; where that says nothing, as edgepress takes it. */
        fun of(name: String?, labels: Int): ProblemType =
            values().firstOrNull { it.name.equals(name, ignoreCase = true) }
                ?: if (labels == 1) REGRESSION else SINGLE_LABEL_CLASSIFICATION
    }
}
