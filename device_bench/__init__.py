"""Measurement of a model's size, latency, memory and accuracy."""
