"""How a model is written down and run: one file a format, and the parity between them."""
