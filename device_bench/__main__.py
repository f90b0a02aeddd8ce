"""`python -m device_bench`: the verbs, one line each."""

from typing import NoReturn

from edgepress.core.verbs import run_verb

VERBS = {
    "run": ("device_bench.run", "measure artifacts on this CPU, a GPU or a phone"),
    "claims": ("device_bench.claims", "say which published claims hold here"),
    "charts": ("device_bench.charts", "draw what was measured"),
    "report": ("device_bench.report", "write what was measured as one HTML page"),
    "compare": ("device_bench.compare", "say which figures changed between two measurements"),
}


def main() -> NoReturn:
    """Run the verb that the first argument names, as `python -m` would."""
    run_verb("python -m device_bench", VERBS)


if __name__ == "__main__":
    main()
