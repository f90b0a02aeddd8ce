package org.edgepress.demo

import android.content.res.AssetManager
import org.edgepress.core.EdgepressException
import org.edgepress.core.ModelFolder
import java.io.File
import java.io.FileNotFoundException
import java.io.IOException

/**
 * The models of the APK, copied to [home] once: only there has a model a path to open it by, and only so do
 * its weights never lie on the Java heap.
 */
internal class ModelStore(private val assets: AssetManager, private val home: File) {
    /**
     * All of them, in the order in which they were put in; long the first time.
     *
     * @throws EdgepressException the list of them is damaged. What is wrong with one model stands in it.
     */
    fun models(): List<StoredModel> {
        val entries = ModelIndex.parse(index() ?: return emptyList())
        val wanted = entries.map { it.folder }
        home.listFiles().orEmpty().filter { it.name !in wanted }.forEach { it.deleteRecursively() }
        return entries.map(::stored)
    }

    private fun index(): String? = try {
        assets.open("$ASSETS/index.json").use { it.readBytes().toString(Charsets.UTF_8) }
    } catch (_: FileNotFoundException) {
        null
    }

    private fun stored(entry: ModelEntry): StoredModel = try {
        StoredModel(entry.name, ModelFolder.open(File(installed(entry), entry.file)), null)
    } catch (error: EdgepressException) {
        StoredModel(entry.name, null, error.message)
    }

    /** Its folder, which appears whole or not at all; its name changes with its content. */
    private fun installed(entry: ModelEntry): File {
        val target = File(home, entry.folder)
        if (target.isDirectory) return target
        val partial = File(home, "${entry.folder}.partial")
        partial.deleteRecursively()
        try {
            partial.mkdirs()
            entry.files.forEach { (name, bytes) -> copy("$ASSETS/${entry.folder}/$name", File(partial, name), bytes) }
            if (!partial.renameTo(target)) throw EdgepressException("${entry.name} cannot be kept in the app's storage")
        } finally {
            partial.deleteRecursively()
        }
        return target
    }

    private fun copy(asset: String, target: File, bytes: Long) {
        try {
            assets.open(asset, AssetManager.ACCESS_STREAMING).use { from -> target.outputStream().use(from::copyTo) }
        } catch (_: FileNotFoundException) {
            throw EdgepressException("${target.name} is missing in the app", INSTALL_AGAIN)
        } catch (error: IOException) {
            throw EdgepressException("${target.name} cannot be copied (${error.message})", "free some storage")
        }
        if (target.length() != bytes) throw EdgepressException("${target.name} is truncated in the app", INSTALL_AGAIN)
    }

    private companion object {
        const val ASSETS = "models"
        const val INSTALL_AGAIN = "install the app again"
    }
}
