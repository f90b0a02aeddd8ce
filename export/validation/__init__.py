"""What a file is checked for before it is kept: parity with its parent, of logits and of token ids."""
