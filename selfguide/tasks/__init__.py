"""Tasks: where they are read from, how gold instances are split, and who may see them."""
