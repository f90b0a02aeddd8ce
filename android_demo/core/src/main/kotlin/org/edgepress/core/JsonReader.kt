package org.edgepress.core

import java.io.IOException
import java.io.Reader

/**
 * Takes values out of a JSON text one by one, as strictly as RFC 8259 has it.
 *
 * A request may hold a whole data set, so whoever knows what comes next takes its numbers without boxing them.
 * All methods throw [JsonException] where the text is not JSON, or holds something else than what is asked for.
 */
internal class JsonReader(private val source: Reader) {
    private val buffer = CharArray(BUFFER)
    private var at = 0
    private var end = 0
    private var before = 0L

    /** The value that comes next: a Map, List, String, Long, Double, Boolean or null. */
    fun value(depth: Int = 0): Any? {
        if (depth > DEEPEST) fail("nested deeper than $DEEPEST levels")
        return when (val next = peekToken()) {
            '{' -> LinkedHashMap<String, Any?>().also { members -> forEachMember { members[it] = value(depth + 1) } }
            '[' -> ArrayList<Any?>().also { elements -> forEachElement { elements.add(value(depth + 1)) } }
            '"' -> string()
            't' -> word("true", true)
            'f' -> word("false", false)
            'n' -> word("null", null)
            else -> if (next == '-' || next in '0'..'9') number() else fail("a value is missing")
        }
    }

    /** Calls [member] with each name of an object; it has to take the value. */
    fun forEachMember(member: (String) -> Unit) {
        expect('{')
        separated('}') {
            val name = string()
            expect(':')
            member(name)
        }
    }

    /** Calls [element] before each element of an array; it has to take it. */
    fun forEachElement(element: () -> Unit) {
        expect('[')
        separated(']', element)
    }

    private inline fun separated(close: Char, item: () -> Unit) {
        if (peekToken() == close) {
            next()
            return
        }
        while (true) {
            item()
            val mark = nextToken()
            if (mark == close) return
            if (mark != ',') fail("',' or '$close' is missing")
        }
    }

    /** An integer that fits into 64 bits. */
    fun long(): Long {
        if (peekToken() !in '1'..'9') return number() as? Long ?: fail("a whole number is missing")
        var value = 0L
        var digits = 0
        while (peekToken(skipSpace = false) in '0'..'9' && digits++ < LONGEST_LONG) value = value * 10 + (next() - '0')
        if (isNumeral(peekToken(skipSpace = false))) fail("a whole number is missing")
        return value
    }

    fun string(): String {
        if (nextToken() != '"') fail("a string is missing")
        val text = StringBuilder()
        while (true) {
            when (val char = next()) {
                '"' -> return text.toString()
                '\\' -> text.append(escaped())
                else -> if (char < ' ') fail("a control character in a string") else text.append(char)
            }
        }
    }

    /** Makes sure that nothing but white space follows. */
    fun end() {
        peekToken()
        if (at < end) fail("there is more after its end")
    }

    private fun escaped(): Char = when (val char = next()) {
        '"', '\\', '/' -> char
        'b' -> '\b'
        'f' -> '\u000c'
        'n' -> '\n'
        'r' -> '\r'
        't' -> '\t'
        'u' -> (1..UNICODE_DIGITS).fold(0) { code, _ -> code * HEX + hexDigit(next()) }.toChar()
        else -> fail("'\\$char' is no escape")
    }

    private fun hexDigit(char: Char): Int = when (char) {
        in '0'..'9' -> char - '0'
        in 'a'..'f' -> char - 'a' + 10
        in 'A'..'F' -> char - 'A' + 10
        else -> fail("'$char' is no hexadecimal digit")
    }

    private fun word(word: String, value: Any?): Any? {
        word.forEach { if (next() != it) fail("'$word' is misspelt") }
        return value
    }

    private fun number(): Number {
        val text = StringBuilder()
        while (isNumeral(peekToken(skipSpace = text.isEmpty()))) text.append(next())
        if (!NUMBER.matches(text)) fail("'$text' is no number")
        return text.toString().let { it.toLongOrNull() ?: finite(it) }
    }

    private fun isNumeral(char: Char): Boolean = char in '0'..'9' || char in "+-.eE"

    private fun finite(text: String): Double =
        text.toDouble().also { if (it.isInfinite()) fail("$text is too large a number") }

    private fun expect(char: Char) {
        if (nextToken() != char) fail("'$char' is missing")
    }

    private fun nextToken(): Char {
        peekToken()
        return next()
    }

    /** What comes next; NUL, which stands nowhere in JSON, at the end. */
    private fun peekToken(skipSpace: Boolean = true): Char {
        while (true) {
            if (at == end && !fill()) return NOTHING
            val char = buffer[at]
            if (!skipSpace || (char != ' ' && char != '\n' && char != '\r' && char != '\t')) return char
            at++
        }
    }

    private fun next(): Char {
        if (at == end && !fill()) fail("it ends too early")
        return buffer[at++]
    }

    private fun fill(): Boolean {
        before += end
        at = 0
        end = try {
            source.read(buffer).coerceAtLeast(0)
        } catch (error: java.nio.charset.CharacterCodingException) {
            throw JsonException("not UTF-8", error)
        } catch (error: IOException) {
            throw JsonException(firstLine(error), error)
        }
        return end > 0
    }

    private fun fail(what: String): Nothing = throw JsonException("$what at character ${before + at}")

    private companion object {
        const val BUFFER = 8192
        const val DEEPEST = 100
        const val LONGEST_LONG = 18
        const val UNICODE_DIGITS = 4
        const val HEX = 16
        const val NOTHING = '\u0000'
        val NUMBER = Regex("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]+)?")
    }
}

/** A text is not JSON, or not the JSON that was asked for; the message says where. */
internal class JsonException(override val message: String, cause: Throwable? = null) : Exception(message, cause)
