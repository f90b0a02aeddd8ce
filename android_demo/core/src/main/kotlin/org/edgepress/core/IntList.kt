package org.edgepress.core

/** A growing list of numbers that are not boxed. */
internal class IntList {
    private var items = IntArray(FIRST)
    var size = 0
        private set

    operator fun get(at: Int): Int = items[at]

    fun add(item: Int): Unit = insert(size, item)

    fun insert(at: Int, item: Int) {
        if (size == items.size) items = items.copyOf(2 * size)
        items.copyInto(items, at + 1, at, size++)
        items[at] = item
    }

    /** Forgets all from place [size] on. */
    fun cut(size: Int) {
        this.size = size
    }

    fun toArray(): IntArray = items.copyOf(size)

    private companion object {
        const val FIRST = 64
    }
}
