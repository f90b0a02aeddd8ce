"""Commands with verbs: `edgepress quantize` is `python -m compress.quantize`."""

import runpy
import sys
from collections.abc import Mapping
from typing import NoReturn

from edgepress.core.console import line, print_error, typed_as, typed_program, whole_output
from edgepress.core.errors import EdgepressError, unknown_name


def run_verb(program: str, verbs: Mapping[str, tuple[str, str]]) -> NoReturn:
    """Run the module of the verb that the first argument names, as `python -m` would.

    Args:
        program: how it is typed, where no other verb has led here.
        verbs: verb -> (module, what it does in one line).
    """
    verb = sys.argv.pop(1) if sys.argv[1:] else "--help"
    program = typed_program(program)
    with whole_output(), typed_as(f"{program} {verb}"):
        if verb in ("-h", "--help"):
            _list_verbs(program, verbs)
            sys.exit(0)
        if verb not in verbs:
            unknown = unknown_name("verb", verb, verbs)
            print_error(str(unknown), unknown.hint)
            sys.exit(EdgepressError.exit_code)
        runpy.run_module(verbs[verb][0], run_name="__main__", alter_sys=True)
    sys.exit(0)


def _list_verbs(program: str, verbs: Mapping[str, tuple[str, str]]) -> None:
    usage = f"usage: {program} VERB [flags]        ({program} VERB --help says which)\n"
    line(usage)
    for verb, (_, summary) in verbs.items():
        line(f"  {verb:10} {summary}")
