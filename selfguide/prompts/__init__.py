"""The prompts, one renderer for all of them, and their token ids."""
