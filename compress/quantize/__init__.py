"""Quantize a model, measure what it bought, and leave an artifact that other loaders read."""
