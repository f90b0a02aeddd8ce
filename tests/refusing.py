"""Commands that are refused: what they say, and that they leave nothing."""

from pathlib import Path

from conftest import Result


def refused(result: Result, tmp_path: Path, *words: str) -> None:
    """The command ended as bad input, said these words, and wrote nothing into its folder `work`."""
    assert result.code == 2, result.err
    for word in words:
        assert word in result.error, result.err
    work = tmp_path / "work"
    assert not work.exists() or not any(work.iterdir())
