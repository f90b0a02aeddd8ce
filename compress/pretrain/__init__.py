"""Train an encoder as a masked language model."""
