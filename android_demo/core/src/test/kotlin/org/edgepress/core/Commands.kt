package org.edgepress.core

import java.io.File

/** What the tests in Python ask of `core`: a command and its arguments; the answer is printed as JSON. */
fun main(arguments: Array<String>) {
    val rest = arguments.drop(1)
    val answer = try {
        when (arguments[0]) {
            "encode" -> encode(File(rest[0]), texts(rest[1]), rest[2].toInt())
            "speed" -> speed(File(rest[0]), texts(rest[1]), rest[2].toInt())
            "classify" -> classify(File(rest[0]), texts(rest[1]))
            "shares" -> shares(File(rest[0]))
            "bench" -> bench(File(rest[0]), rest.drop(1))
            else -> throw IllegalArgumentException(arguments[0])
        }
    } catch (error: EdgepressException) {
        mapOf("error" to error.message)
    }
    println(Json.write(answer))
}

private fun texts(file: String): List<List<String>> =
    (Json.parse(File(file).readText()) as List<*>).map { pair -> (pair as List<*>).map { it as String } }

private fun encode(folder: File, texts: List<List<String>>, longest: Int): List<Map<String, Any?>> {
    val tokenizer = WordPieceTokenizer.read(folder)
    return texts.map { text ->
        val encoding = tokenizer.encode(text[0], text.getOrNull(1), longest)
        mapOf(Inputs.IDS to encoding.ids.asList(), Inputs.TYPES to encoding.typeIds.asList())
    }
}

/** Tokens a second over all texts, once for each of [rounds]. */
private fun speed(folder: File, texts: List<List<String>>, rounds: Int): List<Double> {
    val tokenizer = WordPieceTokenizer.read(folder)
    return List(rounds) {
        val (tokens, ms) = timed(System::nanoTime) { texts.sumOf { tokenizer.encode(it[0], it.getOrNull(1)).size } }
        tokens / ms * 1000
    }
}

private fun classify(model: File, texts: List<List<String>>): List<Map<String, Any?>> =
    Classifier.open(ModelFolder.open(model)).use { classifier ->
        texts.map { text ->
            val answer = classifier.classify(text[0], text.getOrNull(1))
            mapOf(
                "logits" to answer.logits.asList(),
                "values" to answer.scores.map { it.value },
                "given" to answer.scores.filter { it.given }.map { it.label },
            )
        }
    }

private fun shares(model: File): Map<String, Any?> {
    val batch = Batch(1, 2, Inputs.ALL.associateWith { longArrayOf(1, 1) })
    val shares = OnnxModel.shares(model, 1, Provider.CPU, batch)
    return shares.mapValues { (_, own) -> mapOf("nodes" to own.nodes, "ms" to own.ms) }
}

/** Extras as NAME=VALUE; the answer is the file's. */
private fun bench(outbox: File, extras: List<String>): Any? {
    val given = extras.associate { it.substringBefore('=') to it.substringAfter('=') }
    return Json.parse(Bench().answer(given, outbox).readText())
}
