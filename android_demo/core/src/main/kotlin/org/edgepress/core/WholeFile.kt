package org.edgepress.core

import java.io.File
import java.io.IOException

/**
 * Writes a text under another name first, and renames that when it is whole: whoever reads, reads all of it.
 *
 * @return [target].
 * @throws EdgepressException it cannot be written.
 */
public fun writeWhole(target: File, text: String): File {
    val partial = File(target.path + ".partial")
    try {
        target.absoluteFile.parentFile.mkdirs()
        partial.writeText(text)
        if (!partial.renameTo(target)) throw IOException("it cannot be renamed")
        return target
    } catch (error: IOException) {
        partial.delete()
        throw EdgepressException("$target cannot be written: ${firstLine(error)}", "make place on the device", error)
    }
}
