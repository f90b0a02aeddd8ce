"""`python -m compress`: as `edgepress`."""

from compress.verbs import run_as

if __name__ == "__main__":
    run_as("python -m compress")
