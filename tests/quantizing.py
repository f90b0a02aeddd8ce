"""The small model quantized by the command, and what tests of it look at."""

import shlex
from pathlib import Path

import pytest

TIMED, UNTIMED = ("--time-budget", 1, "--sequence-lengths", 8), ("--time-budget", 0)


@pytest.fixture
def quantize(cli, model_folder, data_root, tmp_path):
    """Quantize the small model into tmp_path/out."""

    def run(*flags, model=model_folder, output=tmp_path / "out"):
        common = ("--model", model, "--task", "verdicts", "--data", data_root, "--output", output)
        return cli("compress.quantize", *common, *(flags if TIMED[0] in flags else (*UNTIMED, *flags)))

    return run


def flat(result):
    """Standard output without line breaks."""
    return " ".join(result.out.split())


def asked(result):
    """The file that the last line of the output asks."""
    words = shlex.split(result.out.strip().splitlines()[-1])
    assert words[:2] == ["edgepress", "predict"]
    assert words[3] == "--text"
    assert len(words) == 5
    return Path(words[2])
