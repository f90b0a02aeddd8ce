"""`python -m compress` and `edgepress`: the verbs, one line each."""

import runpy
import sys
from typing import NoReturn

from edgepress.console import log, out
from edgepress.errors import EdgepressError, unknown_name

VERBS = {
    "finetune": ("compress.finetune", "train a classifier on a task, from a pretrained encoder"),
    "export": ("export", "write a model as ONNX, TorchScript, Core ML and more, and check each file"),
    "quantize": ("compress.quantize", "make a model smaller and faster with 8, 4 or 16 bits, and measure it"),
    "bench": ("device_bench", "measure files on CPU, GPU or phone; claims, charts, report, compare"),
}


def main() -> NoReturn:
    """Run the verb that the first argument names, as `python -m` would."""
    verb = sys.argv.pop(1) if sys.argv[1:] else "--help"
    if verb in ("-h", "--help"):
        _list_verbs()
        sys.exit(0)
    if verb not in VERBS:
        _refuse(verb)
    runpy.run_module(VERBS[verb][0], run_name="__main__", alter_sys=True)
    sys.exit(0)


def _list_verbs() -> None:
    out.print("usage: edgepress VERB [flags]        (edgepress VERB --help says which)\n", markup=False)
    for verb, (_, summary) in VERBS.items():
        out.print(f"  {verb:10} {summary}", markup=False, highlight=False)


def _refuse(verb: str) -> NoReturn:
    error = unknown_name("verb", verb, VERBS)
    log.print(f"[bold red]error:[/] {error}\n       {error.hint}", highlight=False)
    sys.exit(EdgepressError.exit_code)


if __name__ == "__main__":
    main()
