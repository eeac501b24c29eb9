"""`python -m selfguide.table`: methods x tasks x seeds."""

from selfguide.apps.table.command import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
