"""Recipes from elsewhere run no code and do not hold the command up."""

from pathlib import Path

import pytest

from compress.recipe.schema.located import parse, read
from edgepress.core.errors import EdgepressError

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, after in zip("abcdefghi", "bcdefghij", strict=True)
)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("title: !!python/object/apply:os.mkdir [{planted}]", "could not determine a constructor"),
        ("title: !!python/name:os.system ''", "could not determine a constructor"),
        ("title: !!python/object/new:os.mkdir [{planted}]", "could not determine a constructor"),
        ("!!python/module:os x: 1", "could not determine a constructor"),
        (BOMB, "aliases make it too large"),
        ("title: &a [*a]", "aliases make it too large"),
        ("title: " + "[" * 10_000, "nested too deep"),
        ("? [a, b]\n: 1", "a key is a text"),
        ("title: 2026-13-45", "month must be in 1..12"),
        ("title: " + "9" * 5000, "integer string conversion"),
    ],
)
def test_yaml_that_is_more_than_values(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text.replace("{planted}", str(tmp_path / "planted")))
    with pytest.raises(EdgepressError, match=why) as refused:
        read(path)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "planted").exists()


def test_aliases_of_the_usual_size_are_written_out() -> None:
    assert parse("a: &a {x: 1}\nb: *a\nc: {<<: *a, y: 2}") == {
        "a": {"x": 1},
        "b": {"x": 1},
        "c": {"x": 1, "y": 2},
    }
