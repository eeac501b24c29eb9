"""Hydra sweeper that searches the one setting whose worst task is best."""
