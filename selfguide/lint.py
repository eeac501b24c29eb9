"""`python -m selfguide.lint`: what would spoil a result, before it is paid for."""

from selfguide.apps.lint.command import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
