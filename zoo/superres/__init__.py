"""Texture super-resolution: the objective, its minimisation, and how small pictures come about."""
