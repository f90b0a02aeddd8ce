package org.edgepress.core

import java.io.File
import java.io.IOException

/** What only the device's system can tell. */
public interface Device {
    /** 0 (cool) to 6 (shutting down), as PowerManager has it; null where the system does not know. */
    public fun thermalStatus(): Int?

    /** Whatever can be read of the device's state now; values as [Json] has them. */
    public fun state(): Map<String, Any?>

    /** Most memory that this process ever took [bytes]. */
    public fun peakMemoryBytes(): Long = peakMemoryOf(File("/proc/self/status"))

    /** A machine of which nothing is known. */
    public object Unknown : Device {
        override fun thermalStatus(): Int? = null

        override fun state(): Map<String, Any?> = emptyMap()
    }
}

private const val KIB = 1024L

internal fun peakMemoryOf(status: File): Long = try {
    status.readLines().first { it.startsWith("VmHWM:") }.filter { it in '0'..'9' }.toLong() * KIB
} catch (error: IOException) {
    throw EdgepressException("$status cannot be read: ${firstLine(error)}", cause = error)
} catch (error: NoSuchElementException) {
    throw EdgepressException("$status has no VmHWM", cause = error)
}

/** Takes note of how far a measurement is; whatever it throws ends the measurement. */
public fun interface Progress {
    /** @param stage what is done, and [done] of [total] of it. */
    public fun report(stage: String, done: Int, total: Int)
}
