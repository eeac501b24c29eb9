"""`hydra/launcher=together`: the jobs of a multirun on one engine."""
