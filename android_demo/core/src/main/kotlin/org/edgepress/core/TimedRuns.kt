package org.edgepress.core

/**
 * Times of runs, one by one.
 *
 * @property samplesMs time of each [ms].
 * @property thermalStatus at the end of each; empty where the device does not tell.
 */
public class TimedRuns(public val samplesMs: DoubleArray, public val thermalStatus: IntArray)

/**
 * Runs all [calls] again and again. A run's time is that of the calls alone: tensors in, logits out.
 *
 * @param warmup calls before the first timed run, in order and from the first again.
 * @param runs at least so many, until they took [minMs] together.
 * @param clock nanoseconds that only grow.
 */
public fun timedRuns(
    calls: List<Call>,
    warmup: Int,
    runs: Int,
    minMs: Double,
    device: Device = Device.Unknown,
    progress: Progress = Progress { _, _, _ -> },
    clock: () -> Long = System::nanoTime,
): TimedRuns {
    repeat(warmup) {
        calls[it % calls.size].run()
        progress.report("warm-up", it + 1, warmup)
    }
    val samples = ArrayList<Double>()
    val statuses = ArrayList<Int>()
    var spent = 0.0
    while (samples.size < runs || spent < minMs) {
        samples.add(calls.sumOf { timed(clock) { it.run() }.second })
        spent += samples.last()
        device.thermalStatus()?.let(statuses::add)
        progress.report("run", samples.size, maxOf(runs, samples.size))
    }
    return TimedRuns(samples.toDoubleArray(), statuses.toIntArray())
}

/** What [action] gives, and its time [ms]. */
internal inline fun <T> timed(clock: () -> Long, action: () -> T): Pair<T, Double> {
    val start = clock()
    val value = action()
    return value to milliseconds(clock() - start)
}

internal fun milliseconds(nanoseconds: Long): Double = nanoseconds / 1e6

/**
 * The value below which [part] (0 to 1) of the samples lie, interpolated linearly.
 *
 * @throws IllegalArgumentException there are no samples.
 */
public fun DoubleArray.quantile(part: Double): Double {
    require(isNotEmpty()) { "no samples" }
    val sorted = sortedArray()
    val place = part * (size - 1)
    val below = place.toInt()
    val above = minOf(below + 1, size - 1)
    return sorted[below] + (place - below) * (sorted[above] - sorted[below])
}
