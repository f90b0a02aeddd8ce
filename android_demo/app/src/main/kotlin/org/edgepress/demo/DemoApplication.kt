package org.edgepress.demo

import android.app.Application
import java.io.File

/** The process: what goes on in it outlives the activity, which a rotation makes anew. */
public class DemoApplication : Application() {
    internal val session: DemoSession by lazy {
        DemoSession(ModelStore(assets, File(filesDir, "models")), PhoneDevice(this))
    }
}
