"""Schema of recipe files: reading and checking them."""
