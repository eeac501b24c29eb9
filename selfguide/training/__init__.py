"""Finetuning of the model on its own data."""
