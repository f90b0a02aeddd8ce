"""`python -m compress.recipe`."""

from compress.recipe.config import RecipeConfig
from edgepress import console


def _recipe(config: RecipeConfig) -> None:
    from compress.recipe.pipeline import recipe  # imports after --help has answered

    recipe(config)


if __name__ == "__main__":
    console.run(RecipeConfig, _recipe, "python -m compress.recipe")
