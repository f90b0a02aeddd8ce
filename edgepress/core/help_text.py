"""Help texts of flags that name what is registered, as models, tasks and formats."""

from typing import Any

from tyro.conf import arg


def described(text: str) -> Any:
    """Return the help text of a flag, for `Annotated`; tyro reads PEP 727's `Doc` from 0.9.18 on only."""
    return arg(help=text)
