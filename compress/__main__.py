"""`python -m compress`: as `edgepress`."""

from compress.verbs import main

if __name__ == "__main__":
    main()
