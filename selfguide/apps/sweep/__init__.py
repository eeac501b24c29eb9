"""The sweeper's runtime: studies, jobs through any Hydra launcher, restarts, the frozen setting."""
