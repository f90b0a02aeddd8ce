"""Learning from another model: its logits, the losses against it, the flags of both."""
