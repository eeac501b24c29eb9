"""`python -m selfguide.quality`: how an error and what was extrapolated from it differ."""

from selfguide.apps.quality import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
