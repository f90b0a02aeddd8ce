package org.edgepress.core

import java.io.File

/**
 * What manifest.json says of a model.
 *
 * @property name of the artifact, and [model] of what it was made from.
 * @property weights where they came from: hub, index, local, trained or random.
 * @property headTrained false where the classifier's weights are random: no answer means anything then.
 * @property task what it was trained on; null where nobody said.
 */
public class Manifest private constructor(json: JsonObject) {
    public val name: String = json.string("name")
    public val model: String = json.objectAt("model").string("name")
    public val architecture: String = json.objectAt("model").string("architecture")
    public val weights: String = json.objectAt("model").string("weights")
    public val headTrained: Boolean = json.objectAt("model").booleanOrNull("head_trained") ?: false
    public val task: String? = json.stringOrNull("task")
    private val files = json.objects("files").groupBy { it.string("path").substringAfterLast('/') }

    /** fp32, int8 and so on; null where the manifest does not know the file. */
    public fun precision(model: File): String? =
        files[model.name]?.firstNotNullOfOrNull { it.stringOrNull("precision") }

    /**
     * Compares sizes with those recorded; whoever copied the files need not have kept their folders.
     *
     * @throws EdgepressException a file was cut short.
     */
    internal fun requireWhole(home: File, model: File) {
        val read = listOf(model) + TokenizerFiles.NAMES.plus(Config.FILE).map { File(home, it) }.filter { it.isFile }
        for (file in read) {
            val sizes = files[file.name]?.mapNotNull { it.longOrNull("size_bytes") } ?: continue
            val own = file.length()
            if (own in sizes) continue
            val what = "it has $own bytes, the manifest says ${sizes.first()}"
            throw EdgepressException("${file.name} is truncated or altered: $what", Json.COPY_AGAIN)
        }
    }

    internal companion object {
        const val FILE = "manifest.json"
        private const val SCHEMA_VERSION = 1

        fun readOrNull(folder: File): Manifest? {
            val file = File(folder, FILE).takeIf { it.isFile } ?: return null
            val json = JsonObject.read(file)
            val version = json.int("schema_version")
            if (version != SCHEMA_VERSION) json.fail("schema version $version, not $SCHEMA_VERSION")
            return Manifest(json)
        }
    }
}
