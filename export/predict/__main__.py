"""Entry point of `python -m export.predict`."""

from edgepress.core import console
from export.predict.config import PredictConfig

if __name__ == "__main__":
    console.run_command(PredictConfig)
