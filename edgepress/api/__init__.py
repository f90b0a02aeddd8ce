"""The library's functions: a model in, a model out. `edgepress` exports them."""
