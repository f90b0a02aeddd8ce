"""Which code a step depends on."""

import pytest

from compress.recipe.run import code_digest as code


@pytest.fixture
def suite(tmp_path, monkeypatch):
    """A suite of three modules: compress.change imports edgepress.deep; edgepress.other is nobody's."""
    for name, text in {
        "compress/__init__.py": "",
        "compress/change.py": 'from edgepress import deep\n\ndef f():\n    """Why."""\n    return deep.g()\n',
        "edgepress/__init__.py": "",
        "edgepress/deep.py": "def g():\n    return 1\n",
        "edgepress/other.py": "x = 1\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(code, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "old", "new", "matters"),
    [
        ("edgepress/deep.py", "return 1", "return 2", True),
        ("edgepress/other.py", "x = 1", "x = 2", False),
        ("compress/change.py", "Why.", "Because.", False),
        ("compress/change.py", "\ndef", "\n\n# a comment\ndef", False),
        ("compress/change.py", "deep.g()", "deep.g() + 1", True),
    ],
)
def test_only_code_that_a_verb_runs_counts(suite, file, old, new, matters):
    digest = code.code_digest.__wrapped__
    before = digest("compress.change")
    path = suite / file
    path.write_text(path.read_text().replace(old, new))
    assert (digest("compress.change") != before) is matters


def test_the_suites_own_verbs_reach_their_rooms():
    finetune, quantize = code.modules_behind("compress.finetune"), code.modules_behind("compress.quantize")
    assert {"compress.training.trainer", "edgepress.core.loading"} <= finetune
    assert not any(name.startswith("device_bench.phone") for name in finetune | quantize)
    assert {"export.onnx", "export.onnx_graph.schemes.int8_static"} <= quantize
