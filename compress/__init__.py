"""What to do to a model: train, distill, prune and quantize it; recipes of such steps."""
