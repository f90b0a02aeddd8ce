"""Code shared by all formats: runner, format, scheme, the registry of formats."""
