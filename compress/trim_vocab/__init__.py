"""Drop the tokens that a corpus never needs."""
