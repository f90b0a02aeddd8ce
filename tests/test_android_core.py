"""The demo app's core on a JVM: its own tests, and its tokenizer against Hugging Face's on real text."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from android import golden, unicode_table
from android.golden_strings import MARKS, SCRIPTS, golden_texts
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from edgepress.core.errors import EdgepressError
from edgepress.core.splits import load_split
from edgepress.core.tasks import DEFAULT_TASK, TASKS

if TYPE_CHECKING:  # pytest is the first to import it
    from android.core_jvm import Core

# The first test waits for the tools to be fetched, and for the compiler.
pytestmark = [pytest.mark.android, pytest.mark.timeout(1800)]
pytest_plugins = ["android.core_jvm"]  # the fixture `core`

LONGEST = 64
REAL_TEXTS = 2000


@pytest.fixture(scope="module")
def bert() -> Path:
    """The folder of BERT's tokenizer."""
    try:
        return golden.bert_tokenizer()
    except EdgepressError as error:
        pytest.skip(f"no BERT vocabulary: {error}")


@pytest.fixture(scope="module")
def real_texts() -> list[tuple[str, ...]]:
    try:
        task = TASKS[DEFAULT_TASK]
        texts = load_split(task, "train").sample(REAL_TEXTS, seed=0).texts
    except EdgepressError as error:
        pytest.skip(f"no real texts: {error}")
    return [*texts, *((one[0], other[0]) for one, other in zip(texts[::10], texts[5::10], strict=True))]


def test_junit(core: Core, bert: Path) -> None:
    """Golden ids, JSON, the bench loop with a model that is none, and all that can be wrong with files."""
    printed = core.run(
        "org.junit.runner.JUnitCore", *core.test_classes(), properties={"edgepress.bert": bert}
    )
    ran = re.search(r"^OK \((\d+) tests\)$", printed, re.MULTILINE)
    assert ran is not None, printed
    declared = sum(path.read_text().count("@Test") for path in (golden.SOURCES / "test").rglob("*Test.kt"))
    assert int(ran[1]) == declared


def test_no_android_in_core() -> None:
    """Else it could not be tested here."""
    for path in (golden.SOURCES / "main").rglob("*.kt"):
        assert "android." not in path.read_text(), path


def test_golden_files_are_fresh(bert: Path) -> None:
    for name, content in golden.golden_files(golden.load(bert / "tokenizer.json")).items():
        assert (golden.RESOURCES / name).read_text() == content, (
            f"{name} is stale: run tests/android/golden.py"
        )


def test_golden_files_are_small_and_many() -> None:
    assert len(golden_texts()) >= 2000
    assert sum(path.stat().st_size for path in golden.RESOURCES.rglob("*.json")) < 1_000_000
    # What chance scatters reaches all planes, and marks of every order.
    assert SCRIPTS[-1][1] == 0x110000
    assert len(MARKS) > 10


def test_unicode_table_is_fresh() -> None:
    stale = "unicode.txt is stale: run tests/android/unicode_table.py"
    assert unicode_table.TABLE.read_text() == unicode_table.table(), stale


def wanted(tokenizer: PreTrainedTokenizerFast, text: Sequence[str]) -> dict[str, list[int]]:
    columns = ([part] for part in text)
    encoded = tokenizer(
        *columns, truncation=True, max_length=LONGEST, return_token_type_ids=True, verbose=False
    )
    return {name: encoded[name][0] for name in ("input_ids", "token_type_ids")}


def compare(core: Core, folder: Path, texts: Sequence[Sequence[str]], scratch: Path) -> None:
    asked = scratch / "texts.json"
    asked.write_text(json.dumps(texts))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    found = core.ask("encode", folder, asked, LONGEST)
    assert len(found) == len(texts) >= 2000
    for text, ids in zip(texts, found, strict=True):
        assert ids == wanted(tokenizer, text), ascii(text)


def test_ids_of_real_texts(core: Core, bert: Path, real_texts: list[tuple[str, ...]], tmp_path: Path) -> None:
    """Reviews and pairs of them, types and all, with a vocabulary of 30,522."""
    compare(core, bert, real_texts, tmp_path)


def test_ids_of_a_tokenizer_that_was_just_trained(
    core: Core, tokenizer: PreTrainedTokenizerFast, real_texts: list[tuple[str, ...]], tmp_path: Path
) -> None:
    tokenizer.save_pretrained(tmp_path)
    compare(core, tmp_path, [*golden_texts(), *real_texts], tmp_path)


@pytest.mark.parametrize("lowercase", [True, False])
def test_ids_of_a_vocabulary_without_tokenizer_json(
    core: Core, bert: Path, real_texts: list[tuple[str, ...]], tmp_path: Path, lowercase: bool
) -> None:
    config = {"do_lower_case": lowercase, "tokenizer_class": "BertTokenizer", "model_max_length": 512}
    roles = {f"{role}_token": f"[{role.upper()}]" for role in ("pad", "unk", "cls", "sep", "mask")}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({**config, **roles}))
    (tmp_path / "vocab.txt").write_bytes((bert / "vocab.txt").read_bytes())
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    compare(core, tmp_path, [*golden_texts(), *real_texts], tmp_path)


def test_speed(core: Core, bert: Path, real_texts: list[tuple[str, ...]], tmp_path: Path) -> None:
    """Says tokens a second; how many depends on what else this machine does."""
    asked = tmp_path / "texts.json"
    asked.write_text(json.dumps(real_texts))
    rounds = core.ask("speed", bert, asked, 5)
    print(f"tokens/s, round by round: {', '.join(f'{one:,.0f}' for one in rounds)}")
    assert min(rounds) > 0
