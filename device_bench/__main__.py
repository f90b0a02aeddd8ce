"""`python -m device_bench`: the verbs, one line each."""

import runpy
import sys
from typing import NoReturn

from edgepress.console import log, out
from edgepress.errors import EdgepressError, unknown_name

VERBS = {
    "run": ("device_bench.run", "measure artifacts on this CPU, a GPU or a phone"),
    "claims": ("device_bench.claims", "say which published claims hold here"),
    "charts": ("device_bench.chart", "draw what was measured"),
    "report": ("device_bench.report", "write what was measured as one HTML page"),
    "compare": ("device_bench.compare", "say which figures changed between two measurements"),
}


def main() -> NoReturn:
    """Run the verb that the first argument names, as `python -m` would."""
    verb = sys.argv.pop(1) if sys.argv[1:] else "--help"
    if verb in ("-h", "--help"):
        _list_verbs()
        sys.exit(0)
    if verb not in VERBS:
        error = unknown_name("verb", verb, VERBS)
        log.print(f"[bold red]error:[/] {error}\n       {error.hint}", highlight=False)
        sys.exit(EdgepressError.exit_code)
    runpy.run_module(VERBS[verb][0], run_name="__main__", alter_sys=True)
    sys.exit(0)


def _list_verbs() -> None:
    usage = "usage: python -m device_bench VERB [flags]        (VERB --help says which)\n"
    out.print(usage, markup=False)
    for verb, (_, summary) in VERBS.items():
        out.print(f"  {verb:10} {summary}", markup=False, highlight=False)


if __name__ == "__main__":
    main()
