"""Tables at the widths of real screens: no word broken, nothing of a name lost."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.cells import cell_len

from compress.prune.report import HEADINGS as PRUNED
from compress.recipe.results.expectations import Expectation, ExpectationVerdict
from compress.recipe.results.table import verdict_screen
from compress.sparsify.report import HEADINGS as SPARSE
from device_bench.profile import Operator, Profile
from device_bench.run import report as run_report
from edgepress.core import console
from edgepress.core.tables import ScreenTable, flow, screen_table
from edgepress.core.tasks.kinds import kind_of

LONG = "minilm-sst2-trimmed-pruned-distilled-int8/onnx/model_quantized-avx512_vnni.onnx"
INTERVAL = "12.35 [12.01, 12.60]"
LOSS = "0.11 [-0.3, 0.5]"
ODD = ("[red]x[/red]", "[/]", "a [v2]", ":smile:", "back\\[b]", "end\\", "[link=http://x]y", "tensor [2, 3]")

EXPORTED = ScreenTable(
    "distilbert-sst2 [v2]: each file beside the model",
    ("file", "precision", "MB", "largest difference", "mean", "agreement", "accuracy"),
    [
        ("torch, 66.4 M parameters", "fp32", "-", "-", "-", "-", "91.23 %"),
        (LONG, "int8-weights", "23.1", "4.8e-01", "1.2e-02", "99.30 %", "90.02 %"),
    ],
    words=(0, 1),
)
TIMED = screen_table(
    "128 tokens, batch 1, 2 threads",
    run_report.HEADINGS,
    [
        (
            "onnx/model.onnx",
            "90.9",
            "12.35",
            "13.11",
            "14.02",
            "81",
            "-",
            "321",
            "412",
            "90.02 %",
            "-",
            "2/30",
        ),
        (
            f"{LONG} *",
            "22.9",
            "4.35",
            "5.11",
            "6.02",
            "9",
            INTERVAL,
            "9",
            "212",
            "89.91 %",
            "0.11 [-0.3, 0.5]",
            "12/150",
        ),
    ],
)
QUANTIZED = ScreenTable(
    "minilm-sst2: what quantizing bought",
    ("variant", "MB", "params", "ms at 16", "ms at 64", "ms at 128", "accuracy", "agreement", "int MatMuls"),
    [
        ("fp32", "90.9", "22.7 M", *["4.22 / 4.44"] * 3, "90.00 %", "-", "0/18"),
        ("int8-per-channel", "9", "22.7 M", *["2.1 / 2.2\n2.00x\n[1.97, 2.02]"] * 3, "9 %", "8 %", "14/18"),
    ],
    caption="p50 / p95 at batch 1, 1 thread, onnxruntime 1.22, speed-up over the first row [95 % interval]",
)
COMPARED = ScreenTable(
    "12 records compared",
    ("file", "figure", "before", "after", "change", ""),
    [(f"{LONG}, batch 1, 128 tokens", "median [ms]", INTERVAL, INTERVAL, "+16.2 % [12.0, 20.1]", "worse")],
    words=(0, 1, 5),
)
RECIPE = screen_table(
    "Half of a fine-tuned encoder's layers, distilled on news headlines of four classes",
    (
        "",
        "params",
        "MB",
        "ms at 128",
        "faster",
        "accuracy",
        "kept",
        "gain [points]",
        "last step [s]",
        "published",
    ),
    [
        (
            "minilm (teacher)",
            "22.71 M",
            "90.9",
            "12.35",
            "-",
            "91.20 %\n[90.80, 91.60]",
            "-",
            "-",
            "213",
            "-",
        ),
        (
            "half of its layers, distilled, with int8 weights",
            *("11.71 M", "45.9", "6.35", "1.95x\n[1.90, 2.00]", "90.20 %\n[89.80, 90.60]", "98.9 %"),
            *("+0.50\n[-0.10, 1.10]", "113\n0.53 of the time", "0.50 of the time, 97.0 %"),
        ),
    ],
)
PRUNED_TABLE = screen_table(
    "distilbert, pruned",
    ("", *PRUNED, "params", "fp32 MB", "accuracy"),
    [("before", *["12, 12, 12, 12, 12, 12"] * len(PRUNED), "66.96 M", "267.8", "91.00 %")],
)
SPARSE_TABLE = screen_table(
    "m: what zeros buy", SPARSE, [("OpenVINO", "90.9 -> 90.9", "84.1 -> 44.1", "1.01x [0.99, 1.02]")]
)
TRIMMED = screen_table(
    "minilm: a corpus with a long name, of this folder and that",
    ("vocabulary", "tokens", "params", "fp32 MB", "accuracy"),
    [
        ("before", "30,522", "22.71 M", "90.9", "91.20 %"),
        ("recovered", "9,522", "14.71 M", "58.9", "91.00 %"),
    ],
)
SENSITIVE = screen_table(
    "most sensitive layers (48 measured)",
    ("layer", "logit RMS when it alone is int8"),
    [("distilbert.transformer.layer.0.attention.q_lin/MatMul_quantized_weights_and_more_of_it", "0.1234")],
)
SCORES = kind_of("multi_label_classification").usual
THRESHOLDS = screen_table("", ("thresholds from", *SCORES), [("validation", *["91.20 %"] * len(SCORES))])
ON_ANDROID = ScreenTable(
    "in the app", ("model", "file", "MB"), [(LONG, "model_int8.onnx", "23.1"), ("日本", "m", "1")]
)
OPERATORS = run_report._profile_table(
    Profile(LONG, (Operator("com.microsoft.SkipLayerNormalization", 12, 1.2), Operator(LONG, 6, 1.8)))
)
VERDICTS = verdict_screen(
    [
        ExpectationVerdict(
            Expectation(text, "row", "size_ratio", "teacher", ">=", 4.0, None), (3.9, 4.1), False
        )
        for text in ("student.gain >= -0.5", f"{LONG}.size_ratio over teacher >= 4")
    ]
)
TABLES = {
    "exported": EXPORTED,
    "timed": TIMED,
    "quantized": QUANTIZED,
    "compared": COMPARED,
    "recipe": RECIPE,
    "pruned": PRUNED_TABLE,
    "sparse": SPARSE_TABLE,
    "trimmed": TRIMMED,
    "sensitive": SENSITIVE,
    "thresholds": THRESHOLDS,
    "android": ON_ANDROID,
    "operators": OPERATORS,
    "verdicts": VERDICTS,
}


def lines(table: ScreenTable, width: int) -> list[str]:
    return table.text(width).plain.splitlines()


def words(texts: Sequence[str]) -> set[str]:
    """Without the colon that a heading has before its cell."""
    return {word.rstrip(":") for text in texts for word in text.split()}


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
@pytest.mark.parametrize("name", TABLES)
def test_no_word_is_broken_and_no_line_too_long(name: str, width: int) -> None:
    table = TABLES[name]
    shown = lines(table, width)
    cells = [cell for row in table.rows for cell in row]
    assert words([table.title, table.caption, *cells, *table.headings[1:]]) <= words(shown)
    longest = max(map(cell_len, words([table.title, table.caption, *cells])))
    assert max(map(cell_len, shown)) <= max(width, longest + 2)


@pytest.mark.parametrize("name", TABLES)
def test_figures_stand_below_their_heading_or_behind_it(name: str) -> None:
    table = TABLES[name]
    shown = lines(table, 80)
    if any(set(line.strip()) == {"─"} for line in shown):
        return  # columns
    for row in table.rows:
        at = next(number for number, line in enumerate(shown) if line.split()[:1] == row[0].split()[:1])
        told = " ".join(" ".join(line.split()) for line in shown[at + 1 :])
        for heading, cell in zip(table.headings[1:], row[1:], strict=True):
            assert (f"{heading}: " if heading else "") + " ".join(cell.split()) in told


def test_a_table_with_room_is_one_line_a_row() -> None:
    table = screen_table("t", ("file", "MB"), [("a.onnx", "1.0"), ("model.onnx", "23.1")])
    assert lines(table, 80) == [
        "t",
        "file          MB",
        "────────────────",
        "a.onnx       1.0",
        "model.onnx  23.1",
    ]


def test_headings_fold_between_words_before_names_move() -> None:
    table = screen_table("t", ("file", "largest difference"), [("a-file-of-some-length.onnx", "1e-06")])
    assert lines(table, 40) == [
        "t",
        "                               largest",
        "file                        difference",
        "──────────────────────────────────────",
        "a-file-of-some-length.onnx       1e-06",
    ]


def test_a_long_name_has_a_line_of_its_own() -> None:
    table = screen_table("t", ("file", "MB", "score"), [(LONG, "23.1", "90.02 %"), ("a.onnx", "1.0", "-")])
    assert lines(table, 80) == [
        "t",
        "file",
        "    MB    score",
        "───────────────",
        LONG,
        "  23.1  90.02 %",
        "a.onnx",
        "   1.0        -",
    ]


def test_what_has_no_room_in_columns_is_told_in_pairs() -> None:
    rows = [("a.onnx", "1.0", "90 %"), ("b.onnx", "23.1", "-")]
    table = screen_table("t", ("file", "megabytes", "score"), rows)
    assert lines(table, 16) == [
        "t",
        "a.onnx",
        "  megabytes: 1.0",
        "  score: 90 %",
        "b.onnx",
        "  megabytes:",
        "  23.1",
        "  score: -",
    ]


def test_pairs_stand_below_each_other() -> None:
    first, second = (line for line in lines(TIMED, 80) if "p95" in line)
    assert first.index("p95:") == second.index("p95:")


@pytest.mark.parametrize("text", ODD)
@pytest.mark.parametrize("width", [20, 80])
def test_cells_titles_and_headings_appear_as_they_are(text: str, width: int) -> None:
    table = ScreenTable(text, ("file", text), [(text, "1")], caption=text)
    shown = "\n".join(lines(table, width))
    assert shown.count(text) == 4


def test_a_wide_script_is_aligned_by_its_width() -> None:
    table = screen_table("", ("model", "MB"), [("日本語モデル", "1.0"), ("abcdefghijkl", "2.0")])
    assert {cell_len(line) for line in lines(table, 80)[1:]} == {17}


def test_control_characters_are_shown() -> None:
    table = screen_table("t", ("file", "MB"), [("a\x1b[31m\rb\x07", "1")])
    assert "a\\x1b[31m\\x0db\\x07  " in table.text(80).plain


def test_a_table_without_rows() -> None:
    for width in (1, 4, 80):
        assert screen_table("t", ("file", "MB"), []).text(width).plain.startswith("t\n")


def test_it_is_printed_for_the_width_of_the_screen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for width in (80, 120):
        monkeypatch.setattr(console.out, "width", width)
        TIMED.show()
        assert capsys.readouterr().out == f"{TIMED.text(width).plain}\n\n"


def test_flow_keeps_pieces_whole() -> None:
    assert flow(["a", "bb", "cccccc", "d"], 4) == ["a bb", "cccccc", "d"]
    assert flow([], 4) == []


def test_no_command_prints_a_table_of_its_own() -> None:
    root = Path(__file__).parents[1]
    packages = ("compress", "device_bench", "export", "edgepress")
    files = [path for package in packages for path in (root / package).rglob("*.py")]
    assert len(files) > 200
    for path in files:
        assert "rich.table" not in path.read_text(encoding="utf-8"), path
