"""Comparison of two measurements: the figures that changed."""
