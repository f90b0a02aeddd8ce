"""`edgepress predict` as a user types it: any file, texts from flags, files and standard input."""

import ast
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from conftest import SENTENCES, first_slow, run_command, write_split
from transformers import pipeline

TEXTS = [text for text, _ in SENTENCES[:4]]


@pytest.fixture(scope="module")
def exported(model_folder, data_root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("predict") / "out"
    flags = (
        "--task",
        "verdicts",
        "--data",
        data_root,
        "--formats",
        "onnx",
        "torchscript",
        "--output",
        folder,
    )
    result = run_command("export", "--model", model_folder, *flags)
    assert result.code == 0, result.err
    return folder


@pytest.fixture
def predict(cli):
    def run(*args):
        result = cli("export.predict", *args)
        lines = filter(None, result.out.split("\n"))
        return result, [json.loads(line) for line in lines] if "--json" in args else []

    return run


@pytest.fixture(scope="module")
def expected(model_folder):
    """What transformers itself says."""
    ask = pipeline("text-classification", str(model_folder), device="cpu")
    return [(own["label"], own["score"]) for own in ask(TEXTS)]


@pytest.mark.parametrize("file", [None, "onnx/model.onnx", "torchscript/model.pt"])
def test_any_file_says_what_transformers_says(predict, exported, expected, file):
    result, found = predict(exported / file if file else exported, "--json", "--text", *TEXTS)
    assert result.code == 0, result.err
    assert [row["text"] for row in found] == TEXTS
    for row, (label, share) in zip(found, expected, strict=True):
        assert row["label"] == label
        assert row["probabilities"][label] == pytest.approx(share, abs=1e-3)
        assert sum(row["probabilities"].values()) == pytest.approx(1)
        assert row["milliseconds"] > 0


SMALL = "onnx/model_quantized.onnx"


@pytest.fixture(scope="module")
def quantized(model_folder, data_root, tmp_path_factory):
    """An artifact with an fp32 and an int8 file."""
    folder = tmp_path_factory.mktemp("quantized") / "out"
    flags = ("--scheme", "fp32", "int8", "--task", "verdicts", "--data", data_root, "--output", folder)
    result = run_command("export.onnx", "--model", model_folder, *flags)
    assert result.code == 0, result.err
    return folder


def shipped(quantized, target, place=SMALL, without=()):
    """A folder with the int8 file, its config, its tokenizer and its manifest, and nothing else."""
    (target / place).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(quantized / SMALL, target / place)
    for path in quantized.glob("*.json"):
        if path.name not in without:
            shutil.copy(path, target)
    return target


def answers(found):
    return [(row["label"], row["probabilities"]) for row in found]


@pytest.mark.parametrize("place", [SMALL, "model_quantized.onnx"])
@pytest.mark.parametrize("without", [(), ("manifest.json",)])
@pytest.mark.parametrize("named", [True, False])
def test_a_file_with_its_config_and_tokenizer_is_enough(predict, quantized, tmp_path, place, without, named):
    alone = shipped(quantized, tmp_path / "alone", place, without)
    _, whole = predict(quantized / SMALL, "--json", "--text", *TEXTS)
    result, found = predict(alone / place if named or not without else alone, "--json", "--text", *TEXTS)
    assert result.code == 0, result.err
    assert answers(found) == answers(whole)
    assert "model_quantized.onnx, onnxruntime" in result.err


def test_an_artifact_less_its_other_files_predicts(predict, quantized, tmp_path):
    alone = shipped(quantized, tmp_path / "alone")
    result, found = predict(alone, "--json", "--text", *TEXTS)
    assert result.code == 0, result.err
    assert answers(found) == answers(predict(quantized / SMALL, "--json", "--text", *TEXTS)[1])


def test_a_line_ends_where_a_file_ends_it(predict, exported, tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("the film\u2028is dull\n\nher script\x0b\n", encoding="utf-8")
    result, found = predict(exported, "--file", path, "--json")
    assert result.code == 0, result.err
    assert [row["text"] for row in found] == ["the film\u2028is dull", "her script\x0b"]


def append(path):
    path.write_bytes(path.read_bytes() + b"\n")


def claim_more_classes(path):
    content = json.loads(path.read_text())
    content["id2label"] |= {"2": "neither"}
    content["label2id"] |= {"neither": 2}
    path.write_text(json.dumps(content))


def say_no_class(path):
    path.write_text(json.dumps({**json.loads(path.read_text()), "architectures": None}))


def say_many_layers(path):
    path.write_text(json.dumps({**json.loads(path.read_text()), "num_hidden_layers": 10**9}))


@pytest.mark.parametrize(
    ("name", "spoil", "without", "said"),
    [
        (SMALL, append, (), "truncated or altered"),
        ("tokenizer.json", append, (), "truncated or altered"),
        ("tokenizer.json", Path.unlink, (), "tokenizer.json is missing"),
        ("config.json", claim_more_classes, ("manifest.json",), "2 logits, and config.json names 3 classes"),
        ("config.json", say_no_class, ("manifest.json",), "does not say what its files give"),
        ("config.json", say_many_layers, ("manifest.json",), "config.json says 1000000000 layers"),
    ],
)
def test_what_is_opened_is_verified(predict, quantized, tmp_path, name, spoil, without, said):
    alone = shipped(quantized, tmp_path / "alone", without=without)
    spoil(alone / name)
    result, _ = predict(alone / SMALL, "--text", TEXTS[0])
    assert (result.code, said in result.error) == (2, True), result.err


def test_a_moved_file_is_verified_by_its_name(predict, quantized, tmp_path):
    alone = shipped(quantized, tmp_path / "alone", "model_quantized.onnx")
    append(alone / "model_quantized.onnx")
    result, _ = predict(alone / "model_quantized.onnx", "--text", TEXTS[0])
    assert (result.code, "truncated or altered" in result.error) == (2, True), result.err


@pytest.mark.slow
def test_wrong_paths_are_answered_before_torch_is_imported(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "tickets.csv").write_text("text,label\nfine,good\n")
    here = {"cwd": tmp_path, "capture_output": True, "text": True}
    for typed, said in (
        ("export.predict nosuch --text a", "no such model: nosuch"),
        ("export.onnx --model minilm --output there", "there exists"),
        ("compress.quantize --model tickets.csv", "tickets.csv is a table"),
        ("compress.finetune --model minilm --task tickets.csv --output there", "there exists"),
    ):
        module, *args = typed.split()
        program = (
            f"import runpy, sys; sys.argv = ['x', *{args!r}]\n"
            f"try: runpy.run_module({module!r}, run_name='__main__')\n"
            "except SystemExit as stop: print(stop.code, 'torch' in sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", program], check=False, **here)
        assert done.stdout.split() == ["2", "False"], done.stderr
        assert said in done.stderr


def test_it_says_what_ran(predict, exported):
    result, _ = predict(exported, "--text", TEXTS[0])
    assert "onnxruntime" in result.err.replace("\n", "")
    assert "texts are cut to 64 tokens" in result.err
    line = next(line for line in result.out.splitlines() if line.startswith(TEXTS[0][:20]))
    assert "positive" in line
    assert "%" in line


def test_a_folder_of_transformers_runs_in_torch(predict, model_folder, expected):
    result, found = predict(model_folder, "--json", "--text", *TEXTS)
    assert result.code == 0, result.err
    assert [row["label"] for row in found] == [label for label, _ in expected]
    assert "torch" in result.err


def test_a_models_data_need_not_be_here(predict, exported, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert predict(exported, "--json", "--text", "the film is a mess")[0].code == 0


@pytest.mark.parametrize("ending", ["txt", "csv", "jsonl", "parquet"])
def test_texts_of_a_file(predict, exported, expected, tmp_path, ending):
    path, frame = tmp_path / f"texts.{ending}", pd.DataFrame({"text": TEXTS, "more": range(len(TEXTS))})
    if ending == "txt":
        path.write_text("\n\n".join(TEXTS) + "\n")
    elif ending == "csv":
        frame.to_csv(path, index=False)
    elif ending == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_parquet(path)
    result, found = predict(exported, "--json", "--file", path)
    assert result.code == 0, result.err
    assert [row["label"] for row in found] == [label for label, _ in expected]


@pytest.mark.parametrize(("ending", "row"), [("csv", 3), ("jsonl", 2)])
def test_rows_without_a_text_are_numbered_as_their_file_does(predict, exported, tmp_path, ending, row):
    path = tmp_path / f"texts.{ending}"
    own = {"csv": 'text\nfine\n" "\n', "jsonl": '{"text": "fine"}\n{"text": " "}\n'}
    path.write_text(own[ending])
    result, _ = predict(exported, "--json", "--file", path)
    assert result.code == 2
    assert f"{path}, row {row}: an empty text" in result.error


@pytest.mark.parametrize("dash", [("-",), ()])
def test_texts_of_standard_input(predict, exported, expected, monkeypatch, dash):
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(TEXTS)))
    result, found = predict(exported, *dash, "--json")
    assert result.code == 0, result.err
    assert [row["label"] for row in found] == [label for label, _ in expected]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--text", ""), "an empty text"),
        (("-", "--text", "x"), "exclude each other"),
        (("--file", "nowhere.txt"), "no such file: nowhere.txt"),
        (("--threads", -1, "--text", "x"), "--threads is out of range"),
    ],
)
def test_bad_input(predict, exported, args, message):
    result, _ = predict(exported, *args)
    assert (result.code, message in result.error) == (2, True), result.err


def test_other_bad_input(predict, exported, bare_encoder, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n \n"))
    empty = predict(exported, "-")[0]
    assert "no texts: standard input is empty, or every line of it" in empty.error
    assert "--text" in empty.err
    assert "--file FILE" in empty.err
    (tmp_path / "none.txt").write_text("\n")
    assert (
        f"no texts: {tmp_path / 'none.txt'} is empty"
        in predict(exported, "--file", tmp_path / "none.txt")[0].error
    )
    assert "no such model" in predict(tmp_path / "nowhere", "--text", "x")[0].error
    assert "has no config.json" in predict(tmp_path, "--text", "x")[0].error
    assert "is not trained" in predict(bare_encoder, "--text", "x")[0].error
    (tmp_path / "empty.csv").write_text("title\nx\n")
    assert "no column 'text'" in predict(exported, "--file", tmp_path / "empty.csv")[0].error
    alone = tmp_path / "model.onnx"
    alone.write_bytes((exported / "onnx" / "model.onnx").read_bytes())
    assert "keep the file with its config.json and tokenizer" in predict(alone, "--text", "x")[0].err


def test_pairs(cli, predict, bare_encoder, tmp_path):
    for split in ("train", "validation"):
        rows = [
            {"sentence1": text, "sentence2": "so it is", "label": label} for text, label in SENTENCES[::3]
        ]
        path = tmp_path / "pairs" / f"{split}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    flags = ("--task", tmp_path / "pairs", "--epochs", 1, "--output", tmp_path / "out")
    assert cli("compress.finetune", "--model", bare_encoder, *flags).code == 0
    result, (row,) = predict(tmp_path / "out", "--json", "--text", "the film is dull", "so it is")
    assert result.code == 0, result.err
    assert row["text"] == ["the film is dull", "so it is"]
    assert "sentence1 and sentence2 are one input" in result.err
    odd, _ = predict(tmp_path / "out", "--text", "one", "two", "three")
    assert "reads 2 texts at once (sentence1 and sentence2), and --text has 3" in odd.error
    assert "--text SENTENCE1 SENTENCE2" in odd.err
    assert "sentence1 | sentence2" in predict(tmp_path / "out", "--text", "one", "two")[0].out
    (tmp_path / "lines.txt").write_text("the film is dull\tso it is\nalone\n")
    assert "line 2: 1 texts" in predict(tmp_path / "out", "--file", tmp_path / "lines.txt")[0].error


def test_a_class_that_is_never_predicted_is_named(cli, bare_encoder, tmp_path):
    rows = [*SENTENCES[:40], *[(f"note {number}", "rare") for number in range(4)]]
    for split in ("train", "validation"):
        write_split(tmp_path / "teams" / f"{split}.jsonl", rows)
    flags = ("--task", tmp_path / "teams", "--epochs", 0.1, "--output", tmp_path / "out")
    result = cli("compress.finetune", "--model", bare_encoder, *flags)
    assert result.code == 0, result.err
    assert "never predicted on validation, so with a recall of 0 %" in result.err.replace("\n", " ")
    assert "rare" in result.out
    assert "macro F1" in result.out
    assert "recall" in result.out
    card = (tmp_path / "out" / "README.md").read_text()
    assert "| class | texts | precision | recall | F1 |" in card


def snippets(card):
    """The programs of a card."""
    return re.findall(r"^```python\n(.*?)^```", card, re.M | re.S)


@pytest.mark.parametrize("inside", first_slow([False, True], 1))
def test_a_cards_programs_run_as_printed(exported, predict, tmp_path, inside):
    (tmp_path / "outputs").mkdir()
    shutil.copytree(exported, tmp_path / "outputs" / "it's 1")
    folder = tmp_path / "outputs" / "it's 1"
    programs = snippets((folder / "README.md").read_text().replace(str(exported), "outputs/it's 1"))
    assert len(programs) == 2  # ONNX and TorchScript
    for program in programs:
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=folder if inside else tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        logits = ast.literal_eval(done.stdout)
        _, (row,) = predict(folder, "--json", "--text", "a film to remember")
        assert max(logits, key=logits.get) == row["label"]
        lost = subprocess.run(
            [sys.executable, "-c", program], cwd="/", capture_output=True, text=True, check=False
        )
        assert lost.stderr.startswith("run this where outputs is")


def test_the_commands_of_its_page_run(cli, exported, tmp_path, monkeypatch):
    page = Path(__file__).parents[1] / "docs" / "predict.md"
    (block,) = re.findall(r"^```\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    monkeypatch.chdir(tmp_path)
    Path("outputs").mkdir()
    Path("outputs/minilm-movie_reviews").symlink_to(exported)
    pd.DataFrame({"review": TEXTS}).to_csv("reviews.csv")
    Path("reviews.txt").write_text("\n".join(TEXTS))
    commands = block.splitlines()
    assert len(commands) == 3
    for command in commands:
        fed, _, typed = command.rpartition(" | ")
        monkeypatch.setattr(
            sys, "stdin", io.StringIO(Path(fed.removeprefix("cat ")).read_text() if fed else "")
        )
        result = cli("export.predict", *shlex.split(typed)[2:])
        assert result.code == 0, result.err
        assert "positive" in result.out or "negative" in result.out
