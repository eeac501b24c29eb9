"""`python -m selfguide.plan`: what a run or a sweep would take."""

from selfguide.apps.plan.command import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
