"""Tables: a grid of runs, what became of each, and what they add up to."""
