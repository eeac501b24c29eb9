"""A plugin of selfguide; each file adds one thing."""
