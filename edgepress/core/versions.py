"""Differences between the versions of libraries that this suite works with."""

import sys

# The HTTP library below the Hub's client, by the client's version: 0.x, 1.x, 2.x.
HTTP_ERRORS = {"requests": "RequestException", "httpx": "HTTPError", "httpx2": "HTTPError"}


def connection_errors() -> tuple[type[Exception], ...]:
    """List the exceptions that the Hub's client raises where no answer comes."""
    import huggingface_hub.hf_api  # noqa: F401  # imports the one that it uses

    return tuple(getattr(sys.modules[name], own) for name, own in HTTP_ERRORS.items() if name in sys.modules)
