package org.edgepress.core

import java.io.File
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNull
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder

class ModelFolderTest {
    @get:Rule
    val temporary = TemporaryFolder()

    private fun open(config: String): ModelFolder = ModelFolder.open(modelFolder(temporary.newFolder(), config))

    @Test
    fun whatTheConfigSays() {
        val folder = open(
            """{"id2label": {"1": "b", "0": "a", "10": "k", "2": "c", "3": "d", "4": "e", "5": "f", "6": "g", "7": "h",
                "8": "i", "9": "j"}, "problem_type": "multi_label_classification", "pad_token_id": 7,
                "edgepress_thresholds": [0, 0.5, 1, 0.25, 0, 0, 0, 0, 0, 0, 0], "max_position_embeddings": 64}""",
        )
        assertEquals("abcdefghijk", folder.labels.joinToString(""))
        assertEquals(ProblemType.MULTI_LABEL_CLASSIFICATION, folder.problemType)
        assertEquals(listOf(0.0, 0.5, 1.0, 0.25), folder.thresholds?.take(4))
        assertEquals(7, folder.padId)
        assertEquals(64, folder.longest)
        assertNull(folder.manifest)
    }

    @Test
    fun whatTransformersTakesForGranted() {
        assertEquals(listOf("LABEL_0", "LABEL_1"), open("{}").labels)
        assertEquals(ProblemType.SINGLE_LABEL_CLASSIFICATION, open("""{"problem_type": null}""").problemType)
        assertEquals(ProblemType.REGRESSION, open("""{"id2label": {"0": "LABEL_0"}}""").problemType)
        assertEquals(512, open("""{"max_position_embeddings": 4096}""").longest)
    }

    @Test
    fun positionsBehindThePadding() {
        val config = """"max_position_embeddings": 514, "pad_token_id": 1"""
        assertEquals(512, open("""{"model_type": "mpnet", $config}""").longest)
        assertEquals(98, open("""{"model_type": "roberta", "max_position_embeddings": 99}""").longest)
    }

    @Test
    fun whatCannotBe() {
        assertRefused("2 thresholds for 1 labels") {
            open("""{"id2label": {"0": "a"}, "edgepress_thresholds": [0.1, 0.2]}""")
        }
        assertRefused("threshold is not between") { open("""{"edgepress_thresholds": [0.1, 1.2]}""") }
        assertRefused("'1' is missing") { open("""{"id2label": {"0": "a", "2": "b"}}""") }
        assertRefused("'id2label' is not an object") { open("""{"id2label": ["a"]}""") }
        assertRefused("'pad_token_id' is too large") { open("""{"pad_token_id": 9999999999}""") }
        assertRefused("config.json is no JSON object") { open("[]") }
        assertRefused("config.json is damaged") { open("{\"id2label\": {\"0\"") }
        assertRefused("answers questions") { open("""{"architectures": ["BertForQuestionAnswering"]}""") }
    }

    @Test
    fun missingFiles() {
        assertRefused("there is no file") { ModelFolder.open(File(temporary.root, "model.onnx")) }
        val model = temporary.newFile("other.onnx")
        assertRefused("config.json is missing") { ModelFolder.open(model) }
    }

    private fun withManifest(sizes: Map<String, Long>): File {
        val model = modelFolder(temporary.newFolder())
        val files = sizes.map { (path, bytes) -> mapOf("path" to path, "size_bytes" to bytes, "precision" to "int8") }
        val made = mapOf("name" to "bert", "architecture" to "bert", "weights" to "random", "head_trained" to false)
        val manifest = mapOf("schema_version" to 1L, "name" to "small", "model" to made, "files" to files)
        File(model.parentFile, "manifest.json").writeText(Json.write(manifest))
        return model
    }

    @Test
    fun whatTheManifestSays() {
        val model = withManifest(mapOf("onnx/model.onnx" to 4L, "README.md" to 99L))
        val manifest = ModelFolder.open(model).manifest!!
        assertEquals("int8", manifest.precision(model))
        assertEquals(listOf("small", "bert", "random"), listOf(manifest.name, manifest.model, manifest.weights))
        assertFalse(manifest.headTrained)
        assertNull(manifest.task)
    }

    @Test
    fun anArtifactKeepsItsModelsInAFolder() {
        val flat = withManifest(mapOf("onnx/model.onnx" to 4L))
        val nested = File(flat.parentFile, "onnx/model.onnx").also { flat.copyTo(it) }
        assertEquals(listOf("no", "yes"), ModelFolder.open(nested).labels)
        assertEquals("small", ModelFolder.open(nested).manifest?.name)
    }

    @Test
    fun aTruncatedFile() {
        assertRefused("model.onnx is truncated or altered: it has 4 bytes, the manifest says 9") {
            ModelFolder.open(withManifest(mapOf("onnx/model.onnx" to 9L)))
        }
        assertRefused("tokenizer.json is truncated") { ModelFolder.open(withManifest(mapOf("tokenizer.json" to 1L))) }
    }

    @Test
    fun aManifestThatIsDamagedOrOfAnotherTime() {
        val model = modelFolder(temporary.root)
        val manifest = File(temporary.root, "manifest.json")
        for ((content, words) in listOf(
            "{\"schema_version\": 2}" to "schema version 2, not 1",
            "{}" to "'schema_version' is missing",
            "{\"schema" to "manifest.json is damaged",
        )) {
            manifest.writeText(content)
            assertRefused(words) { ModelFolder.open(model) }
        }
    }
}
