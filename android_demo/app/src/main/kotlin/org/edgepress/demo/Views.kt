package org.edgepress.demo

import android.app.Activity
import android.view.View

// Android's own findViewById is generic only in newer SDKs; these compile with any.

/** The view of this id, which the layout has. */
internal inline fun <reified T : View> Activity.view(id: Int): T {
    val found: View = findViewById(id)
    return found as T
}

/** The view of this id below this one. */
internal inline fun <reified T : View> View.view(id: Int): T {
    val found: View = findViewById(id)
    return found as T
}
