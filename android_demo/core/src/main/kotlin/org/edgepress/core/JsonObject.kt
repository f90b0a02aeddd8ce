package org.edgepress.core

import java.io.File

/** A JSON object whose members are asked for by name and kind; [where] names it in messages. */
internal class JsonObject(private val where: String, private val members: Map<*, *>) {
    val names: Set<String> get() = members.keys.mapTo(LinkedHashSet()) { it as String }

    fun string(name: String): String = stringOrNull(name) ?: missing(name)

    fun stringOrNull(name: String): String? = kind(name, "a text")

    /** A text, or the `content` of an object, as transformers writes special tokens. */
    fun textOrContent(name: String): String? =
        if (members[name] is Map<*, *>) objectAt(name).string("content") else stringOrNull(name)

    fun int(name: String): Int = intOrNull(name) ?: missing(name)

    fun intOrNull(name: String): Int? = kind<Long>(name, "a whole number")?.let {
        if (it in Int.MIN_VALUE..Int.MAX_VALUE) it.toInt() else fail("'$name' is too large a number")
    }

    fun longOrNull(name: String): Long? = kind(name, "a whole number")

    fun booleanOrNull(name: String): Boolean? = kind(name, "true or false")

    fun objectOrNull(name: String): JsonObject? =
        kind<Map<*, *>>(name, "an object")?.let { JsonObject("$where: $name", it) }

    fun objectAt(name: String): JsonObject = objectOrNull(name) ?: missing(name)

    fun listOrNull(name: String): List<Any?>? = kind(name, "a list")

    fun objects(name: String): List<JsonObject> = listOrNull(name).orEmpty().map {
        JsonObject("$where: $name", it as? Map<*, *> ?: fail("'$name' holds something that is no object"))
    }

    fun numbersOrNull(name: String): List<Double>? = listOrNull(name)?.map {
        (it as? Number)?.toDouble() ?: fail("'$name' holds something that is no number")
    }

    fun missing(name: String): Nothing = fail("'$name' is missing")

    fun fail(what: String): Nothing = throw EdgepressException("$where: $what", Json.COPY_AGAIN)

    private inline fun <reified T> kind(name: String, what: String): T? {
        val value = members[name] ?: return null
        return value as? T ?: fail("'$name' is not $what")
    }

    companion object {
        /** @throws EdgepressException the file cannot be read or is no JSON object. */
        fun read(file: File): JsonObject {
            val members = Json.readFile(file) { it.value() } as? Map<*, *>
                ?: throw EdgepressException("${file.name} is no JSON object", Json.COPY_AGAIN)
            return JsonObject(file.name, members)
        }
    }
}
