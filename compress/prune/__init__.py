"""Cut heads, feed-forward units, hidden width and layers out of a model."""
