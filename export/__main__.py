"""Entry point of `python -m export`."""

from export.command.run import run_formats

if __name__ == "__main__":
    run_formats()
