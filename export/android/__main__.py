"""`python -m export.android`."""

from edgepress import console
from export.android.config import AndroidConfig


def _put_in(config: AndroidConfig) -> None:
    from export.android.pipeline import put_in  # after --help has answered

    put_in(config)


if __name__ == "__main__":
    console.run(AndroidConfig, _put_in, "python -m export.android")
