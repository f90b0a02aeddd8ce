package org.edgepress.core

import java.io.File
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder

class BenchTest {
    @get:Rule
    val temporary = TemporaryFolder()

    private val model by lazy { modelFolder(temporary.newFolder()) }
    private val outbox by lazy { File(temporary.root, "media/edgepress") }
    private val fake = FakeModel()
    private var now = 0L

    /** A clock that a run moves on by a millisecond for each of its batches. */
    private val ticking = FakeModel { now += 1_000_000 }

    private fun extras(request: String, vararg others: Pair<String, String?>): Map<String, String?> {
        val file = temporary.newFile().apply { writeText(request) }
        val files = mapOf("model" to model.path, "request" to file.path)
        val numbers = mapOf("threads" to "1", "warmup" to "3", "runs" to "5", "min_ms" to "0.0")
        return files + numbers + mapOf("run_id" to "3f2a-0-0-2") + others
    }

    private fun answer(bench: Bench, extras: Map<String, String?>): Map<*, *> {
        val file = bench.answer(extras, outbox)
        assertEquals(listOf(file.name), outbox.list()?.asList()) // nothing half written beside it
        return Json.parse(file.readText()) as Map<*, *>
    }

    private fun error(extras: Map<String, String?>, bench: Bench = Bench { fake }): String {
        val result = answer(bench, extras)
        assertEquals(setOf("schema_version", "run_id", "error"), result.keys)
        assertTrue('\n' !in result["error"] as String)
        return result["error"] as String
    }

    @Test
    fun whatTheContractAsksFor() {
        val warm = object : Device {
            override fun thermalStatus() = if (ticking.runs > 8) 2 else 0

            override fun state() = mapOf("battery" to 38.5, "runs" to ticking.runs)
        }
        val result = answer(Bench(warm, clock = { now }) { ticking }, extras(TWO_BATCHES))
        assertEquals(listOf(2.0, 2.0, 2.0, 2.0, 2.0), result["samples_ms"]) // two batches a run
        assertEquals(1.0, result["first_forward_ms"])
        assertEquals(listOf(listOf(6.0, 2.0), listOf(15.0, 3.0)), result["logits"])
        assertEquals(listOf(0L, 0L, 2L, 2L, 2L), result["thermal_status"])
        assertEquals("fake 1.0", result["runtime"])
        assertEquals("3f2a-0-0-2", result["run_id"])
        assertEquals(mapOf("battery" to 38.5, "runs" to 0L), result["before"])
        assertEquals(1L + 3 + 2 * 5, (result["after"] as Map<*, *>)["runs"])
        assertTrue(result["peak_memory_bytes"] as Long > 1_000_000)
        assertFalse("text_logits" in result)
        assertEquals(0, ticking.open)
        assertTrue(ticking.closed)
    }

    @Test
    fun runsUntilTheTimeIsReached() {
        val result = answer(Bench(clock = { now }) { ticking }, extras(ONE_BATCH, "min_ms" to "20"))
        assertEquals(20, (result["samples_ms"] as List<*>).size)
        assertFalse("thermal_status" in result)
    }

    @Test
    fun textsAreTokenizedAndClassifiedOneByOne() {
        val texts = """[["the film"], ["the film", ""], [""], ["\ud83d\ude00"]]"""
        val result = answer(Bench { fake }, extras(request(texts)))
        val tokenizer = WordPieceTokenizer.read(model.parentFile)
        val expected = listOf(tokenizer.encode("the film"), tokenizer.encode("the film", ""), tokenizer.encode(""))
            .map { listOf(it.ids.sum().toDouble(), it.size.toDouble()) }
        assertEquals(expected, (result["text_logits"] as List<*>).take(3))
        assertEquals(4, (result["tokenize_ms"] as List<*>).size)
    }

    @Test
    fun progressIsTold() {
        val told = ArrayList<String>()
        answer(Bench(progress = { stage, done, total -> told.add("$stage $done/$total") }) { fake }, extras(ONE_BATCH))
        assertEquals(listOf("load 0/1", "warm-up 1/3", "warm-up 2/3", "warm-up 3/3", "run 1/5"), told.take(5))
    }

    @Test
    fun whatAProviderTookIsTold() {
        val shares = mapOf("XnnpackExecutionProvider" to Share(12, 3.5), "CPUExecutionProvider" to Share(40, 1.25))
        val bench = Bench(shares = { _, batch -> shares.filter { batch.columns == 2 } }) { fake }
        val after = answer(bench, extras(ONE_BATCH, "provider" to "xnnpack"))["after"] as Map<*, *>
        assertEquals(
            mapOf(
                "XnnpackExecutionProvider" to mapOf("nodes" to 12L, "ms" to 3.5),
                "CPUExecutionProvider" to mapOf("nodes" to 40L, "ms" to 1.25),
            ),
            after["providers"],
        )
        assertEquals(emptyMap<String, Any?>(), answer(bench, extras(ONE_BATCH))["after"])
    }

    @Test
    fun sharesAreCountedByProvider() {
        fun node(name: String, provider: String, us: Int) =
            """{"cat": "Node", "name": "$name", "dur": $us, "args": {"provider": "$provider"}}"""
        val trace = temporary.newFile().apply {
            writeText(
                """[{"cat": "Session", "name": "model_run", "dur": 9},
                ${node("a_kernel_time", "A", 1500)}, ${node("a_fence_before", "A", 7)},
                ${node("b_kernel_time", "B", 20)}, ${node("c_kernel_time", "A", 500)}]""",
            )
        }
        val shares = sharesOf(trace)
        assertEquals(setOf("A", "B"), shares.keys)
        assertEquals(listOf(2, 1), shares.values.map { it.nodes })
        assertEquals(listOf(2.0, 0.02), shares.values.map { it.ms })
    }

    @Test
    fun nonsenseExtras() {
        for ((name, value, words) in listOf(
            Triple("model", null, "model is missing"), Triple("model", "", "model is missing"),
            Triple("model", "/none.onnx", "model: there is no file /none.onnx"),
            Triple("request", "/none.json", "request: there is no file /none.json"),
            Triple("threads", "0", "threads: '0' is no whole number from 1 to 64"),
            Triple("threads", "two", "threads: 'two'"), Triple("warmup", "-1", "warmup: '-1'"),
            Triple("runs", "0", "runs: '0'"), Triple("runs", "9".repeat(99), "runs: '9"),
            Triple("min_ms", "NaN", "min_ms: 'NaN'"), Triple("min_ms", "-1", "min_ms: '-1'"),
            Triple("min_ms", null, "min_ms is missing"), Triple("provider", "abacus", "'abacus' is no provider"),
        )) {
            val said = error(extras(ONE_BATCH, name to value))
            assertTrue("$said lacks $words", words in said)
        }
    }

    @Test
    fun nonsenseRequests() {
        for ((request, words) in listOf(
            "" to "is damaged", "[]" to "'{' is missing", "{" to "is damaged",
            "{}" to "schema version null", ONE_BATCH.replace("1,", "9,") to "schema version 9, not 1",
            """{"schema_version": 1, "inputs": []}""" to "no inputs",
            batch("""{}""") to "input 0", batch("""{"input_ids": []}""") to "input 0",
            batch("""{"input_ids": [[]]}""") to "input 0", batch("""{"input_ids": [[1], [1, 2]]}""") to "input 0",
            batch("""{"input_ids": [[1]], "attention_mask": [[1], [1]]}""") to "input 0",
            batch("""{"input_ids": [1]}""") to "'[' is missing",
            batch("""{"input_ids": [[1.5]]}""") to "a whole number",
            batch("""{"input_ids": [["a"]]}""") to "is no number",
            batch("""{"input_ids": [[01]]}""") to "is no number", batch("""{"input_ids": [[1-2]]}""") to "a whole",
            batch("""{"input_ids": [[${"9".repeat(30)}]]}""") to "a whole number",
            request("""[["a", "b", "c"]]""") to "text 0", request("""[[]]""") to "text 0",
            request("""["a"]""") to "'[' is missing", request("""[[1]]""") to "a string",
        )) {
            val said = error(extras(request))
            assertTrue("$request: $said lacks $words", words in said)
        }
    }

    @Test
    fun whateverGoesWrongStandsInTheResult() {
        val known = EdgepressException("too long", "cut it")
        val faults = listOf(known, OutOfMemoryError("heap"), IllegalStateException("a bug\nat"))
        val told = faults.map { fault -> error(extras(ONE_BATCH), Bench { FakeModel { throw fault } }) }
        assertEquals("too long; cut it", told[0])
        assertTrue(told[1], "too little memory" in told[1])
        assertEquals("IllegalStateException: a bug", told[2])
    }

    @Test
    fun textsNeedATokenizer() {
        File(model.parentFile, "tokenizer.json").delete()
        assertTrue("neither tokenizer.json" in error(extras(request("""[["a"]]"""))))
        answer(Bench { fake }, extras(ONE_BATCH))
    }

    @Test
    fun withoutARunIdThereIsNoResult() {
        for (id in listOf(null, "", "a/b", "../a", ".", "a b")) {
            assertRefused("run_id") { Bench { fake }.answer(extras(ONE_BATCH, "run_id" to id), outbox) }
        }
        assertFalse(outbox.exists())
    }

    @Test
    fun aPlaceThatCannotBeWritten() {
        val taken = temporary.newFile("taken")
        assertRefused("cannot be written") { Bench { fake }.answer(extras(ONE_BATCH), taken) }
    }

    @Test
    fun peakMemoryIsWhatTheSystemSays() {
        val status = temporary.newFile().apply { writeText("VmPeak:\t  9 kB\nVmHWM:\t   123456 kB\n") }
        assertEquals(123456L * 1024, peakMemoryOf(status))
        assertRefused("no VmHWM") { peakMemoryOf(status.apply { writeText("") }) }
    }

    private companion object {
        const val BATCH = """{"input_ids": [[1, 2]], "attention_mask": [[1, 1]]}"""
        const val ONE_BATCH = """{"schema_version": 1, "inputs": [$BATCH]}"""
        const val TWO_BATCHES = """{"schema_version": 1, "texts": [], "inputs": [{
            "input_ids": [[1, 2, 3], [4, 5, 6]], "attention_mask": [[1, 1, 0], [1, 1, 1]],
            "token_type_ids": [[0, 0, 0], [0, 0, 0]]}, $BATCH]}"""

        fun batch(batch: String) = """{"schema_version": 1, "inputs": [$batch]}"""

        fun request(texts: String) = """{"schema_version": 1, "inputs": [$BATCH], "texts": $texts}"""
    }
}
