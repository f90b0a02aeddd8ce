"""Entry point of `python -m compress.recipe`."""

from compress.recipe.config import RecipeConfig
from edgepress.core import console

if __name__ == "__main__":
    console.run_command(RecipeConfig)
