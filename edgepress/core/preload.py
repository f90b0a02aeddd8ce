"""Imports of heavy libraries, on which short commands spend most of their time.

Only the server of `edgepress.core.subcommand` imports this, as the one module that changes its process.
Libraries alone: the suite's own modules are read from the disk when a command begins, as the digest of its
code is.
"""

# ruff: noqa: E402, F401  # it is quiet before it imports
from edgepress.core.process import prepare

prepare()

import datasets
import matplotlib.figure
import scipy.stats
import sklearn.metrics
import transformers.models.auto.modeling_auto
import transformers.trainer
