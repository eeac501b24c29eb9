"""Searching one setting for several tasks: pure parts, knowing neither Hydra nor Optuna nor torch."""
