"""What every format shares: runner, format, scheme, the registry of formats."""
