package org.edgepress.core

/** What BERT-like models take, by the names that exporters give it. */
public object Inputs {
    public const val IDS: String = "input_ids"
    public const val MASK: String = "attention_mask"
    public const val TYPES: String = "token_type_ids"
    public val ALL: List<String> = listOf(IDS, MASK, TYPES)
}

/**
 * The token ids of one call.
 *
 * @param values input name -> [rows] times [columns] numbers, row by row.
 */
public class Batch(public val rows: Int, public val columns: Int, private val values: Map<String, LongArray>) {
    init {
        require(values.values.all { it.size == rows * columns }) { "not $rows times $columns numbers" }
    }

    /** The numbers of one input; null where the batch has none of this name. */
    public operator fun get(name: String): LongArray? = values[name]

    /** The same with zeros, which no model attends to, up to [rows] and [columns]. */
    internal fun padded(rows: Int, columns: Int): Batch {
        if (rows == this.rows && columns == this.columns) return this
        return Batch(rows, columns, values.mapValues { (_, numbers) -> padded(numbers, rows, columns) })
    }

    private fun padded(numbers: LongArray, rows: Int, columns: Int): LongArray {
        val wider = LongArray(rows * columns)
        repeat(rows) { row ->
            // A row without a single token is no input: the last one fills the others' places.
            val from = row.coerceAtMost(this.rows - 1) * this.columns
            numbers.copyInto(wider, row * columns, from, from + this.columns)
        }
        return wider
    }

    public companion object {
        /** Texts of any lengths as one batch; shorter ones are filled up with [padId] and not attended to. */
        public fun of(encodings: List<Encoding>, padId: Int): Batch {
            val columns = encodings.maxOf { it.size }
            fun rows(filler: Int, number: (Encoding, Int) -> Int): LongArray {
                val numbers = LongArray(encodings.size * columns) { filler.toLong() }
                encodings.forEachIndexed { row, one ->
                    repeat(one.size) { numbers[row * columns + it] = number(one, it).toLong() }
                }
                return numbers
            }
            val values = mapOf(
                Inputs.IDS to rows(padId) { one, at -> one.ids[at] },
                Inputs.MASK to rows(0) { _, _ -> 1 },
                Inputs.TYPES to rows(0) { one, at -> one.typeIds[at] },
            )
            return Batch(encodings.size, columns, values)
        }
    }
}
