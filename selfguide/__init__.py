"""selfguide: a language model that teaches itself a task from an instruction and a few examples."""

__version__ = "0.1.0"
