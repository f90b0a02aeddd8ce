"""What the commands share that cut parts out of a model: `compress.prune` and `compress.trim_vocab`."""
