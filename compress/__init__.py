"""Techniques that train, distill, prune and quantize a model, and recipes that chain them."""

from edgepress.core.interruption import leave_where_run

leave_where_run(__name__)
