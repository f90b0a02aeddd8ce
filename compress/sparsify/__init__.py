"""Set weights to zero where they stand: what compresses well, and what GPUs with sparse kernels use."""
