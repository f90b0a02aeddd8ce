"""Entry point of `python -m export.android`."""

from edgepress.core import console
from export.android.config import AndroidConfig

if __name__ == "__main__":
    console.run_command(AndroidConfig)
