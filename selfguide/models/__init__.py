"""Inference engines: one contract (`base`), several implementations."""
