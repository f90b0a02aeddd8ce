"""Recipes: what any valid one says does not depend on how YAML writes it; what is unknown is named."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from compress.recipe.run.plan import plan
from compress.recipe.schema.spec import load
from edgepress.core.errors import EdgepressError

NAMES = st.from_regex(r"[a-z][a-z0-9_-]{0,6}", fullmatch=True).filter(lambda name: name != "results")
# Words that YAML reads as something else where they stand without quotes. Not 1e5: PyYAML writes that text as
# it stands, and reads it so; to a recipe it is a number.
WORDS = st.sampled_from(["plain", "no", "on", "0x1f", "null", "~", "a: b", "ünï", "#1", "2026-01-01"])
FLAGS: dict[str, st.SearchStrategy[Any]] = {
    "epochs": st.floats(0.5, 20) | st.integers(1, 20),
    "learning-rate": st.floats(1e-7, 1e-2),
    "batch-size": st.integers(1, 512),
    "keep": st.sampled_from(["last", "best"]),
    "train-samples": st.none() | st.integers(1, 10**6),
}
SEEDS = st.lists(st.integers(0, 99), min_size=1, max_size=3, unique=True)


@st.composite
def recipes(draw: st.DrawFn) -> dict[str, Any]:
    """A teacher, perhaps over seeds, and students of it; a row of the table each."""
    names = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    rate = draw(st.floats(1e-6, 1e-3))
    teacher, *students = names
    steps = {
        teacher: {
            "verb": "finetune",
            "flags": {**flags(draw, "finetune"), "learning-rate": "${settings.rate}"},
        }
    }
    for name in students:
        steps[name] = {"verb": "distill", "flags": flags(draw, "distill", f"${{steps.{teacher}}}")}
    repeated = draw(st.sampled_from(names))
    if draw(st.booleans()):
        steps[repeated]["over"] = {"seed": draw(SEEDS)}
        steps[repeated]["flags"]["seed"] = "${each.seed}"
    return {
        "title": draw(WORDS),
        "settings": {"rate": rate},
        "quick": {"rate": rate / 2},
        "steps": steps,
        "table": {name: {"of": name, "title": f"{name} {draw(WORDS)}"} for name in names},
        "measure": {"sequence_length": draw(st.integers(1, 512))},
    }


def flags(draw: st.DrawFn, verb: str, teacher: str = "") -> dict[str, Any]:
    own = (
        {"model": draw(WORDS), "task": draw(WORDS)}
        if verb == "finetune"
        else {"teacher": teacher, "student": "cnn"}
    )
    return {**own, **{name: draw(FLAGS[name]) for name in draw(st.sets(st.sampled_from(sorted(FLAGS))))}}


def dumped(recipe: dict[str, Any], style: dict[str, Any]) -> str:
    return yaml.safe_dump(recipe, sort_keys=False, **style)


STYLES = st.fixed_dictionaries(
    {
        "default_flow_style": st.sampled_from([None, True, False]),
        "default_style": st.sampled_from([None, '"', "'"]),
        "indent": st.integers(2, 6),
        "width": st.sampled_from([20, 80, 10**6]),
        "allow_unicode": st.booleans(),
        "explicit_start": st.booleans(),
    }
).filter(lambda style: style["default_style"] is None)  # a quoted number is a text


def planned(text: str, quick: bool = False) -> list[Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "recipe.yaml")
        path.write_text(text, encoding="utf-8")
        runs = plan(load(path, quick, ()), Path("out"))
        return [(run.step, run.name, run.verb.name, run.each, run.flags, run.uses) for run in runs]


@given(recipes(), STYLES, STYLES, st.booleans())
def test_the_plan_is_the_same_however_it_is_written(
    recipe: dict[str, Any], style: dict[str, Any], other: dict[str, Any], quick: bool
) -> None:
    text = dumped(recipe, style)
    again = dumped(yaml.safe_load(text), other)
    assert planned(text, quick) == planned(again, quick)
    seeds = [len(step.get("over", {"seed": [0]})["seed"]) for step in recipe["steps"].values()]
    assert len(planned(text, quick)) == sum(seeds)


@given(recipes(), st.data())
def test_a_flag_arrives_as_it_was_written(recipe: dict[str, Any], data: st.DataObject) -> None:
    step = data.draw(st.sampled_from(sorted(recipe["steps"])))
    said = recipe["steps"][step]["flags"]
    run = next(run for run in planned(dumped(recipe, {})) if run[0] == step)
    for name in ("epochs", "batch-size", "keep", "train-samples", "model", "task"):
        if name in said:
            assert run[4][name.replace("-", "_")] == said[name]


@given(recipes(), st.data())
def test_an_unknown_key_is_refused_with_its_place(recipe: dict[str, Any], data: st.DataObject) -> None:
    step = data.draw(st.sampled_from(sorted(recipe["steps"])))
    row = data.draw(st.sampled_from(sorted(recipe["table"])))
    places = {
        "": (recipe, "key"),
        f"steps.{step}": (recipe["steps"][step], "key"),
        f"steps.{step}.flags": (recipe["steps"][step]["flags"], "flag of"),
        f"table.{row}": (recipe["table"][row], "key"),
        "measure": (recipe["measure"], "key"),
        "quick": (recipe["quick"], "setting"),
    }
    place = data.draw(st.sampled_from(sorted(places)))
    mapping, kind = places[place]
    mapping["unheard"] = data.draw(st.integers() | st.text(max_size=3))
    with pytest.raises(EdgepressError) as refused:
        planned(dumped(recipe, {}))
    assert f"unknown {kind}" in str(refused.value)
    assert "'unheard'" in str(refused.value)
    assert f"recipe.yaml{': ' if place else ''}{place}" in str(refused.value)
