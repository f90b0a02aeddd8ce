package org.edgepress.core

import java.io.File
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder

class WordPieceTokenizerTest {
    @get:Rule
    val temporary = TemporaryFolder()

    private val whole = resource("small/tokenizer.json").readText()
    private val small = WordPieceTokenizer.read(resource("small"))

    private fun read(name: String, content: String): WordPieceTokenizer {
        File(temporary.root, name).writeText(content)
        return WordPieceTokenizer.read(temporary.root)
    }

    private fun changed(from: String, to: String): WordPieceTokenizer {
        assertTrue(from in whole)
        return read("tokenizer.json", whole.replaceFirst(from, to))
    }

    @Test
    fun anEmptyTextIsItsSpecialTokens() {
        val empty = small.encode("")
        assertArrayEquals(intArrayOf(CLS, SEP), empty.ids)
        assertFalse(empty.truncated)
    }

    @Test
    fun aPairIsOfItsOwnType() {
        val pair = small.encode("film", "")
        val first = pair.size - 1
        assertArrayEquals(IntArray(pair.size) { if (it < first) 0 else 1 }, pair.typeIds)
        assertArrayEquals(small.encode("film").ids + SEP, pair.ids)
    }

    @Test
    fun aLongTextIsCut() {
        val text = "the film is a quiet delight. ".repeat(LONG / 29 + 1)
        assertTrue(text.length >= LONG)
        val cut = small.encode(text, longest = 64)
        assertEquals(64, cut.size)
        assertTrue(cut.truncated)
        val whole = small.encode(text)
        assertFalse(whole.truncated)
        assertArrayEquals(whole.ids.copyOf(63) + SEP, cut.ids)
    }

    @Test
    fun oneWordOf100000CharactersIsUnknown() {
        assertArrayEquals(intArrayOf(CLS, UNK, SEP), small.encode("a".repeat(LONG), longest = 64).ids)
    }

    @Test
    fun aTextOf100000EmojiIsNoProblem() {
        val cut = small.encode("\uD83D\uDC69\u200D\uD83D\uDC67 ".repeat(LONG / 6), longest = 64)
        assertArrayEquals(IntArray(62) { UNK }, cut.ids.copyOfRange(1, 63))
    }

    @Test
    fun halvesOfSurrogatePairsAreNoText() {
        assertArrayEquals(small.encode("film").ids, small.encode("fi\uD83Dlm\uDC69").ids)
    }

    @Test
    fun noPlaceForSpecialTokens() {
        assertRefused("1 tokens") { small.encode("film", longest = 1) }
        assertArrayEquals(intArrayOf(CLS, SEP), small.encode("film", longest = 2).ids)
    }

    @Test
    fun vocabularyAndConfigGiveTheSameIds() {
        val vocabulary = (Json.parse(whole) as Map<*, *>)["model"].let { (it as Map<*, *>)["vocab"] as Map<*, *> }
        val lines = vocabulary.entries.sortedBy { it.value as Long }.joinToString("\n") { it.key as String }
        File(temporary.root, "vocab.txt").writeText(lines + "\n")
        val roles = ROLES.joinToString { """"${it}_token": {"content": "[${it.uppercase()}]", "lstrip": false}""" }
        val other = read("tokenizer_config.json", """{"do_lower_case": true, "strip_accents": null, $roles}""")
        for (text in listOf("The Caf\u00e9 [SEP] is a quiet delight\u4e00", "[MASK]", "tedious, mess")) {
            assertArrayEquals(text, small.encode(text, "pair").ids, other.encode(text, "pair").ids)
        }
    }

    @Test
    fun aVocabularyWithoutConfig() {
        assertRefused("tokenizer_config.json is missing") { read("vocab.txt", "[PAD]\n") }
    }

    @Test
    fun aVocabularyThatWasCut() {
        File(temporary.root, "vocab.txt").writeText("[PAD]\n[UNK]\n")
        val config = ROLES.joinToString { """"${it}_token": "[${it.uppercase()}]"""" }
        assertRefused("vocab.txt has no '[CLS]'") { read("tokenizer_config.json", "{$config}") }
    }

    @Test
    fun nothingThere() {
        val error = assertRefused("neither tokenizer.json nor vocab.txt") { WordPieceTokenizer.read(temporary.root) }
        assertTrue(error.hint.isNotEmpty())
    }

    @Test
    fun truncatedAnywhere() {
        for (length in 0 until whole.trimEnd().length step 97) {
            assertRefused("tokenizer.json") { read("tokenizer.json", whole.take(length)) }
        }
    }

    @Test
    fun notUtf8() {
        val latin = whole.replace("film", "f\u00fclm").toByteArray(Charsets.ISO_8859_1)
        File(temporary.root, "tokenizer.json").writeBytes(latin)
        assertRefused("tokenizer.json is damaged: not UTF-8") { WordPieceTokenizer.read(temporary.root) }
    }

    @Test
    fun anotherKindOfTokenizer() {
        assertRefused("model 'BPE'") { changed("\"type\":\"WordPiece\",\"unk", "\"type\":\"BPE\",\"unk") }
        assertRefused("normalizer 'NFC'") { changed("BertNormalizer", "NFC") }
        assertRefused("pre_tokenizer 'ByteLevel'") { changed("BertPreTokenizer", "ByteLevel") }
        assertRefused("post_processor 'Sequence'") { changed("BertProcessing", "Sequence") }
        assertRefused("single_word token") { changed("\"single_word\":false", "\"single_word\":true") }
    }

    @Test
    fun partsThatAreMissingOrOfAnotherKind() {
        assertRefused("'unk_token' is missing") { changed("\"unk_token\"", "\"other\"") }
        assertRefused("the vocabulary has no") { changed("\"unk_token\":\"[UNK]\"", "\"unk_token\":\"[NONE]\"") }
        assertRefused("'lowercase' is not true or false") { changed("\"lowercase\":true", "\"lowercase\":\"yes\"") }
        assertRefused("'vocab' is not an object") { changed("\"vocab\":{", "\"vocab\":[],\"x\":{") }
    }

    private companion object {
        const val CLS = 2
        const val SEP = 3
        const val UNK = 1
        const val LONG = 100_000
        val ROLES = listOf("pad", "unk", "cls", "sep", "mask")
    }
}
