"""The flags of `export.android`."""

from dataclasses import dataclass
from pathlib import Path

from edgepress.core.console import Command


@dataclass(frozen=True, kw_only=True)
class AndroidConfig(Command):
    """Put models into the Android demo app, with tokenizer and manifest. What was in it is replaced.

    python -m export.android --artifacts outputs/minilm-movie_reviews-int8

    python -m export.android --artifacts outputs/a-int8 outputs/a-trimmed --precisions int8
    """

    artifacts: tuple[Path, ...]
    """Folders that export.onnx, compress.quantize or a recipe wrote; the app lists them in this order."""
    precisions: tuple[str, ...] = ()
    """Precisions of the ONNX files to take: fp32, int8, ...; default: int8 where there is one, else all."""
    app: Path = Path("android_demo")
    """Folder of the Android project, whose module `app` gets the models; default: the demo's, seen from the
    repository's root."""
    allow_random: bool = False
    """Also put in models whose weights are random: the app says that its answers mean nothing then."""
