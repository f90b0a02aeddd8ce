package org.edgepress.demo

import org.edgepress.core.EdgepressException

/**
 * What [open] opens with ONNX Runtime.
 *
 * @throws EdgepressException as [open], or the app holds no native ONNX Runtime that fits its Java classes.
 */
internal inline fun <T> withNativeRuntime(open: () -> T): T = try {
    open()
} catch (error: LinkageError) {
    throw EdgepressException("the app holds no ONNX Runtime for this phone", "it is made for arm64-v8a", error)
}
