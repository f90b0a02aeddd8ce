"""Code shared by all techniques that train: flags, data, batches, the Trainer, checkpoints, the result."""
