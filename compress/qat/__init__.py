"""Train with int8's rounding in the way, so that quantizing afterwards loses less."""
