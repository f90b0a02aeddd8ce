"""What a model costs: size, latency, memory and accuracy, measured."""
