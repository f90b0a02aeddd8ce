"""`python -m compress.qat`."""

from compress.qat.config import QatConfig
from edgepress import console


def _qat(config: QatConfig) -> None:
    from compress.qat.pipeline import qat  # seconds of imports, after --help has answered

    qat(config)


if __name__ == "__main__":
    console.run(QatConfig, _qat, "python -m compress.qat")
