package org.edgepress.core

import java.util.Random
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Test

class JsonTest {
    @Test
    fun values() {
        val text = """ {"a": [1, -2.5e3, true, false, null], "\u00e9\n\"": {}, "b": [], "c": "\ud83d\ude00\/"} """
        val value = mapOf(
            "a" to listOf(1L, -2500.0, true, false, null),
            "\u00e9\n\"" to emptyMap<String, Any?>(),
            "b" to emptyList<Any?>(),
            "c" to "\uD83D\uDE00/",
        )
        assertEquals(value, Json.parse(text))
        assertEquals(value, Json.parse(Json.write(value)))
    }

    @Test
    fun numbersComeBackAsTheVerySame() {
        val random = Random(1)
        val all = listOf(0.1, -0.0, 1e300, Double.MIN_VALUE, Double.MAX_VALUE, 1.0 / 3) +
            List(10_000) { Double.fromBits(random.nextLong()) }.filter { it.isFinite() }
        for (number in all) assertEquals(number.toBits(), (Json.parse(Json.write(number)) as Double).toBits())
        for (number in listOf(0L, Long.MIN_VALUE, Long.MAX_VALUE)) assertEquals(number, Json.parse(Json.write(number)))
        for (number in all.map { it.toFloat() }.filter { it.isFinite() }) {
            assertEquals(number, (Json.parse(Json.write(number)) as Double).toFloat())
        }
    }

    @Test
    fun textsComeBackAsTheVerySame() {
        val random = Random(2)
        val any = String(CharArray(10_000) { random.nextInt(0x10000).toChar() })
        assertEquals(any, Json.parse(Json.write(any)))
        assertEquals("\"\\ud83d\"", Json.write("\uD83D"))
    }

    @Test
    fun longerThanTheBuffer() {
        val list = List(20_000) { it.toLong() }
        assertEquals(list, Json.parse(Json.write(list)))
    }

    @Test
    fun whatIsNoJson() {
        val wrong = listOf(
            "", " ", "{", "[1,]", "[1 2]", "{\"a\"}", "{\"a\":1,}", "{a:1}", "'a'", "\"a", "\"\n\"", "\"\\x\"",
            "\"\\u12g4\"", "01", "1.", ".5", "+1", "1e", "--1", "NaN", "Infinity", "1e999", "tru", "nul", "[] []",
            "1 x", "// a", "1\u0000", "\u0000", "\uFEFF1",
        )
        for (text in wrong) assertRefused("JSON is damaged") { Json.parse(text) }
    }

    @Test
    fun nestedTooDeep() {
        assertRefused("nested deeper") { Json.parse("[".repeat(100_000)) }
        Json.parse("[".repeat(100) + "]".repeat(100))
    }

    @Test
    fun whatJsonHasNot() {
        for (value in listOf(Double.NaN, Double.POSITIVE_INFINITY, Float.NaN, Any())) {
            assertThrows(IllegalArgumentException::class.java) { Json.write(listOf(value)) }
        }
    }

    @Test
    fun theMessageSaysWhere() {
        assertRefused("at character 10000") { Json.parse(" ".repeat(10_000) + "x1") }
    }
}
