package org.edgepress.core

import java.io.File

/**
 * What the bench entry was started with.
 *
 * @property warmup inputs that are run before the first timed run.
 * @property runs timed runs, at least, and [minMs] the time over all of them, at least [ms].
 * @property runId names the result.
 */
public class BenchOptions(
    public val model: File,
    public val request: File,
    public val threads: Int,
    public val warmup: Int,
    public val runs: Int,
    public val minMs: Double,
    public val runId: String,
    public val provider: Provider = Provider.CPU,
) {
    public companion object {
        private val RUN_ID = Regex("[A-Za-z0-9_-][A-Za-z0-9._-]*")
        private const val MOST_THREADS = 64
        private const val MOST_RUNS = 1_000_000
        private const val LONGEST_MS = 3_600_000.0

        /**
         * The run's name among an instrumentation's [extras].
         *
         * @throws EdgepressException it is missing, or could not be a file's name.
         */
        public fun runId(extras: Map<String, String?>): String = text(extras, "run_id").also {
            if (!RUN_ID.matches(it)) throw EdgepressException("run_id: '$it' has more than letters, digits and ._-")
        }

        /** @throws EdgepressException one of the [extras] is missing or makes no sense. */
        public fun of(extras: Map<String, String?>): BenchOptions = BenchOptions(
            model = file(extras, "model"),
            request = file(extras, "request"),
            threads = whole(extras, "threads", 1..MOST_THREADS),
            warmup = whole(extras, "warmup", 0..MOST_RUNS),
            runs = whole(extras, "runs", 1..MOST_RUNS),
            minMs = minMs(extras),
            runId = runId(extras),
            provider = extras["provider"]?.let(Provider::of) ?: Provider.CPU,
        )

        private fun text(extras: Map<String, String?>, name: String): String =
            extras[name]?.takeIf { it.isNotEmpty() }
                ?: throw EdgepressException("$name is missing", "start it with -e $name ...")

        private fun file(extras: Map<String, String?>, name: String): File = File(text(extras, name)).also {
            if (!it.isFile) throw EdgepressException("$name: there is no file $it")
        }

        private fun whole(extras: Map<String, String?>, name: String, range: IntRange): Int {
            val said = text(extras, name)
            return said.toIntOrNull()?.takeIf { it in range }
                ?: throw EdgepressException("$name: '$said' is no whole number from ${range.first} to ${range.last}")
        }

        private fun minMs(extras: Map<String, String?>): Double {
            val said = text(extras, "min_ms")
            return said.toDoubleOrNull()?.takeIf { it in 0.0..LONGEST_MS }
                ?: throw EdgepressException("min_ms: '$said' is no number from 0 to ${LONGEST_MS.toLong()}")
        }
    }
}
