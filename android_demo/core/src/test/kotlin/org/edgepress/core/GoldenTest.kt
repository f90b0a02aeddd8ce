package org.edgepress.core

import java.io.File
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Assume.assumeTrue
import org.junit.Test

/** Ids of thousands of texts, as Hugging Face's library gives them (`tests/android/golden.py`). */
class GoldenTest {
    private class Case(val texts: List<String>, val longest: Int, val ids: Map<String, List<Int>>)

    @Test
    fun small() = check("small", resource("small"))

    @Test
    fun casedCharacters() = check("cased-characters", resource("cased-characters"))

    @Test
    fun lowerCharacters() = check("lower-characters", resource("lower-characters"))

    /** Its files are not in the repository; -Dedgepress.bert names their folder. */
    @Test
    fun bert() {
        val folder = System.getProperty("edgepress.bert")
        assumeTrue("no BERT tokenizer named", folder != null)
        check("bert", File(folder))
    }

    private fun check(name: String, folder: File) {
        val tokenizer = WordPieceTokenizer.read(folder)
        assertTrue(CASES.size >= 2000)
        for (case in CASES) {
            val found = tokenizer.encode(case.texts[0], case.texts.getOrNull(1), case.longest)
            assertEquals("${Json.write(case.texts)} cut at ${case.longest}", case.ids[name], found.ids.asList())
        }
    }

    private companion object {
        val CASES = (Json.parse(resource("golden.json").readText()) as List<*>).map { parse(it as Map<*, *>) }

        fun parse(case: Map<*, *>) = Case(
            (case["texts"] as List<*>).map { it as String },
            (case["longest"] as Long?)?.toInt() ?: Int.MAX_VALUE,
            case.entries.filter { (name, _) -> name != "texts" && name != "longest" }
                .associate { (name, ids) -> name as String to (ids as List<*>).map { (it as Long).toInt() } },
        )
    }
}
