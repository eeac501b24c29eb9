"""Content-addressed stages: finished work is found again, half-finished work goes on."""

from selfguide.store.stages import Stage, Store

__all__ = ["Stage", "Store"]
