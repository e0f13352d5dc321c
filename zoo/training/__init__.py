"""Training: recipes (`zoo/recipes/*.toml`), one loop for all of them, and the objectives that they train."""

from __future__ import annotations

from .heap import keep_memory
from .loop import Progress, train
from .recipe import Recipe, list_recipes, load_recipe

__all__ = ["Progress", "Recipe", "keep_memory", "list_recipes", "load_recipe", "train"]
