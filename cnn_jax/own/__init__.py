"""Code of a user's own: how a recipe names it, and how it is found again."""
