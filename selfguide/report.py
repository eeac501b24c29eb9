"""`python -m selfguide.report`: compare runs."""

from selfguide.apps.report import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
