"""What the commands share that change a trained model: prune, sparsify, qat, trim_vocab."""
