package org.edgepress.core

import ai.onnxruntime.OrtSession.SessionOptions

/** What ONNX Runtime hands the operations to; those that a provider does not take are the CPU's. */
public enum class Provider {
    CPU {
        override fun addTo(options: SessionOptions, threads: Int) = Unit
    },
    XNNPACK {
        override fun addTo(options: SessionOptions, threads: Int) =
            options.addXnnpack(mapOf("intra_op_num_threads" to threads.toString()))
    },
    NNAPI {
        override fun addTo(options: SessionOptions, threads: Int) = options.addNnapi()
    }, ;

    internal abstract fun addTo(options: SessionOptions, threads: Int)

    public companion object {
        /** @throws EdgepressException there is none of this name. */
        public fun of(name: String): Provider = values().firstOrNull { it.name.equals(name, ignoreCase = true) }
            ?: values().joinToString { it.name.lowercase() }.let { all ->
                throw EdgepressException("'$name' is no provider", "choose one of $all")
            }
    }
}
