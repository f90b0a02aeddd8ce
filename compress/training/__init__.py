"""What all techniques that train share: flags, data, batches, the Trainer, checkpoints, the result."""
