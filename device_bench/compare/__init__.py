"""Which figures changed between two measurements."""
