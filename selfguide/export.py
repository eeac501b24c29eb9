"""`python -m selfguide.export`: hand on a run's data set and weights."""

from selfguide.apps.export.command import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
