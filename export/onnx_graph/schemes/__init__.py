"""Quantization schemes of ONNX files, one module a scheme; a module that is here is a scheme."""

import importlib
import logging
import pkgutil
from collections.abc import Iterator

from export.core.scheme import Scheme


def _schemes() -> Iterator[Scheme]:
    level = logging.root.level
    try:
        for entry in pkgutil.iter_modules(__path__):
            yield importlib.import_module(f"{__name__}.{entry.name}").SCHEME
    finally:
        logging.root.setLevel(level)  # matmul_nbits_quantizer turns it to INFO as it is imported


SCHEMES: dict[str, Scheme] = {scheme.name: scheme for scheme in _schemes()}
