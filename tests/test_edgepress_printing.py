"""What is printed of names, labels and texts: exactly what they are."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from bench_records import measured
from conftest import Result
from rich.console import Console

from device_bench.records import append
from edgepress.core import console

ODD = (
    "[red]model[/red]",
    "[/]",
    "[/red] alone",
    "model [v2]",
    "[bold]",
    "[@click=x]y",
    "[link=http://x]y[/link]",
    ":smile: :boom:",
    "back\\[red]slash",
    "end\\",
    "\\\\[b]",
    "tensor [2, 3]",
    "100 % of 3.5 'x' http://localhost/a?b=c",
    "日本語",
    "a" * 300,
)


@pytest.mark.parametrize("text", ODD)
def test_steps_warnings_answers_and_errors(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    console.step(text)
    console.warn(text)
    console.print_error(text, text)
    console.line(text)
    printed = capsys.readouterr()
    assert printed.err == f"· {text}\nwarning: {text}\nerror: {text}\n       {text}\n"
    assert printed.out == f"{text}\n"


@pytest.mark.parametrize("text", ODD[:-1])
def test_progress_bars(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = Console(record=True, force_terminal=True, width=200, file=StringIO())
    monkeypatch.setattr(console, "log", recorded)
    with console.progress() as bar:
        bar.add_task(text, total=1.0)
        bar.refresh()
    assert text in recorded.export_text()


def test_what_a_terminal_would_obey_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    console.step("a\x1b[31mb\rc\x9bd\x07\x7f")
    assert capsys.readouterr().err == "· a\\x1b[31mb\\x0dc\\x9bd\\x07\\x7f\n"


def test_names_that_are_no_unicode(capsys: pytest.CaptureFixture[str]) -> None:
    console.line("model-\udcff.onnx")
    assert capsys.readouterr().out == "model-\\udcff.onnx\n"


def test_a_screen_with_another_encoding() -> None:
    script = (
        "from edgepress.core import console; from edgepress.core.tables import screen_table;"
        "console.step('é 日'); console.line('é 日'); screen_table('é', ('日', 'MB'), [('é', '1')]).show()"
    )
    command = [sys.executable, "-X", "utf8=0", "-c", script]
    for encoding in ("ascii", "latin-1", "cp1252"):
        done = subprocess.run(
            command, env={"PYTHONIOENCODING": encoding, "PATH": ""}, capture_output=True, check=False,
            cwd=Path(__file__).parents[1],
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert b"\\u65e5" in done.stdout


def test_an_unknown_verb_with_brackets(cli: Callable[..., Result]) -> None:
    for program in ("compress", "device_bench"):
        result = cli(program, "[red]quantize[/red]")
        assert (result.code, result.error) == (2, "error: unknown verb '[red]quantize[/red]'")


def test_a_folder_with_brackets_that_is_not_there(cli: Callable[..., Result], tmp_path: Path) -> None:
    result = cli("export.onnx", "--model", tmp_path / "[red]none[/red]", "--output", tmp_path / "o")
    assert result.code == 2
    assert "[red]none[/red]" in result.error


@pytest.mark.parametrize("name", ["model [red]v2[bold]", ":smile: [bold]"])
def test_an_exported_folder_with_brackets(
    cli: Callable[..., Result], model_folder: Path, tmp_path: Path, name: str
) -> None:
    own = tmp_path / name
    shutil.copytree(model_folder, own)
    output = tmp_path / f"{name} out"
    result = cli("export.torchscript", "--model", own, "--output", output, "--eval-samples", 4)
    assert result.code == 0, result.err
    assert result.out.startswith(f"{name}: each file beside the model\n")
    assert f"· written: {output}" in result.err


def test_labels_and_files_with_brackets_in_records(cli: Callable[..., Result], tmp_path: Path) -> None:
    before, after = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    name = "[red]m[/red]:smile:.onnx"
    append(before, [measured(name, 4.0)])
    append(after, [measured(name, 9.0)])
    result = cli("device_bench.compare", before, after)
    assert name in result.out
