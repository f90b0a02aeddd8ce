"""The command behind `python -m export` and `python -m export.FORMAT`."""
