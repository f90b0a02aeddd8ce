package org.edgepress.core

import java.io.File
import java.io.IOException
import java.io.InputStreamReader
import java.io.Reader
import java.io.StringReader

/** JSON in and out, of Map, List, String, Long, Double, Boolean and null. */
public object Json {
    /**
     * The value of a JSON text: objects as Map, arrays as List, whole numbers as Long, others as Double.
     *
     * @throws EdgepressException it is no JSON.
     */
    public fun parse(text: String): Any? = read("JSON", StringReader(text)) { it.value() }

    /**
     * The text of a value. Numbers read back as the very same ones.
     *
     * @throws IllegalArgumentException JSON has no such value: NaN, an infinity, another class.
     */
    public fun write(value: Any?): String = StringBuilder().also { append(it, value) }.toString()

    /** Takes from a file's JSON what [take] wants of it, which is all of it. */
    internal fun <T> readFile(file: File, take: (JsonReader) -> T): T = try {
        // The decoder of a charset reports what is no UTF-8; a reader made from its name replaces it.
        InputStreamReader(file.inputStream(), Charsets.UTF_8.newDecoder()).use { read(file.name, it, take) }
    } catch (error: IOException) {
        throw EdgepressException("${file.name} cannot be read: ${firstLine(error)}", COPY_AGAIN, error)
    }

    private fun <T> read(what: String, source: Reader, take: (JsonReader) -> T): T = try {
        val reader = JsonReader(source)
        take(reader).also { reader.end() }
    } catch (error: JsonException) {
        throw EdgepressException("$what is damaged: ${error.message}", COPY_AGAIN, error)
    }

    private fun append(out: StringBuilder, value: Any?) {
        when (value) {
            null, is Boolean, is Int, is Long -> out.append(value)
            is Double -> out.append(value.also { require(it.isFinite()) { "JSON has no $it" } })
            // As the double that it is: a reader that knows no single precision gets the very same number.
            is Float -> append(out, value.toDouble())
            is String -> appendString(out, value)
            is Map<*, *> -> appendAll(out, "{}", value.entries) { (name, member) ->
                appendString(out, name as String)
                out.append(':')
                append(out, member)
            }
            is Iterable<*> -> appendAll(out, "[]", value) { append(out, it) }
            else -> throw IllegalArgumentException("JSON has no ${value.javaClass.name}")
        }
    }

    private inline fun <T> appendAll(out: StringBuilder, marks: String, all: Iterable<T>, one: (T) -> Unit) {
        out.append(marks[0])
        all.forEachIndexed { index, item ->
            if (index > 0) out.append(',')
            one(item)
        }
        out.append(marks[1])
    }

    private fun appendString(out: StringBuilder, text: String) {
        out.append('"')
        for (char in text) {
            when {
                char == '"' || char == '\\' -> out.append('\\').append(char)
                // Lone surrogates cannot be written as UTF-8.
                char < ' ' || char.isSurrogate() -> out.append("\\u").append(hexadecimal(char))
                else -> out.append(char)
            }
        }
        out.append('"')
    }

    private fun hexadecimal(char: Char): String = char.code.toString(HEX).padStart(HEX_DIGITS, '0')

    private const val HEX = 16
    private const val HEX_DIGITS = 4
    internal const val COPY_AGAIN = "copy the model's folder again"
}
