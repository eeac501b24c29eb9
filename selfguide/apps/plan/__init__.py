"""Forecast before you pay: one small round, and what it says of the whole run."""
