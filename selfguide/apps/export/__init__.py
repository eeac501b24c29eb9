"""Handing on what a run made: dataset and weights as folders others can load, each with its card."""
