package org.edgepress.core

import java.io.File

/**
 * What is to be run.
 *
 * @property inputs the batches of one run, in order.
 * @property texts one text or a pair each, to be tokenized and classified one by one.
 */
public class BenchRequest(public val inputs: List<Batch>, public val texts: List<List<String>> = emptyList()) {
    public companion object {
        /** @throws EdgepressException the file is no request. */
        public fun read(file: File): BenchRequest = Json.readFile(file) { RequestReader(file.name, it).request() }
    }
}

/** Takes a request from its JSON, its numbers never boxed: a pass over a data set has millions. */
private class RequestReader(private val name: String, private val json: JsonReader) {
    private var version: Long? = null
    private val inputs = ArrayList<Batch>()
    private val texts = ArrayList<List<String>>()

    fun request(): BenchRequest {
        json.forEachMember { member ->
            when (member) {
                "schema_version" -> version = json.long()
                "inputs" -> json.forEachElement { inputs.add(batch()) }
                "texts" -> json.forEachElement { texts.add(text()) }
                else -> json.value()
            }
        }
        if (version != SCHEMA_VERSION) fail("schema version $version, not $SCHEMA_VERSION")
        if (inputs.isEmpty()) fail("it has no inputs")
        return BenchRequest(inputs, texts)
    }

    private fun batch(): Batch {
        val values = LinkedHashMap<String, List<LongArray>>()
        json.forEachMember { input -> values[input] = rows() }
        val shapes = values.values.flatMap { rows -> rows.map { it.size } }.distinct()
        val counts = values.values.map { it.size }.distinct()
        if (counts.size != 1 || shapes.size != 1 || counts[0] == 0 || shapes[0] == 0) {
            fail("input ${inputs.size} is not made of rows of one length, as many in each part")
        }
        return Batch(counts[0], shapes[0], values.mapValues { (_, rows) -> rows.flatten(shapes[0]) })
    }

    private fun List<LongArray>.flatten(columns: Int): LongArray {
        val flat = LongArray(size * columns)
        forEachIndexed { row, numbers -> numbers.copyInto(flat, row * columns) }
        return flat
    }

    private fun rows(): List<LongArray> {
        val rows = ArrayList<LongArray>()
        json.forEachElement { rows.add(row()) }
        return rows
    }

    private fun row(): LongArray {
        var numbers = LongArray(FIRST)
        var size = 0
        json.forEachElement {
            if (size == numbers.size) numbers = numbers.copyOf(2 * size)
            numbers[size++] = json.long()
        }
        return numbers.copyOf(size)
    }

    private fun text(): List<String> {
        val parts = ArrayList<String>()
        json.forEachElement { parts.add(json.string()) }
        if (parts.size !in 1..2) fail("text ${texts.size} is neither a text nor a pair")
        return parts
    }

    private fun fail(what: String): Nothing = throw EdgepressException("$name: $what")

    private companion object {
        const val SCHEMA_VERSION = 1L
        const val FIRST = 128
    }
}
