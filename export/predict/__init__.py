"""Predictions of a model, or of one of its files in any format."""
