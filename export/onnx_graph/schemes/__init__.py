"""Quantization schemes of ONNX files, one module a scheme; a module that is here is a scheme."""

import importlib
import logging
import pkgutil

from export.base.scheme import Scheme

_MODULES = [importlib.import_module(f"{__name__}.{entry.name}") for entry in pkgutil.iter_modules(__path__)]

SCHEMES: dict[str, Scheme] = {module.SCHEME.name: module.SCHEME for module in _MODULES}

# matmul_nbits_quantizer turns the root logger to INFO as it is imported, and warns of the opset that
# 4-bit tensors need: the file that is written is checked against its parent, which says more.
logging.getLogger().setLevel(logging.WARNING)
logging.getLogger("onnxruntime.quantization").setLevel(logging.ERROR)
