"""Techniques that train, distill, prune and quantize a model, and recipes that chain them."""
