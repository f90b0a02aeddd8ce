"""Checks of a file before it is kept: parity with its parent, of logits and of token ids."""
