"""Tools of the repository, outside of its packages; only tests import them."""
