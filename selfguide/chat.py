"""`python -m selfguide.chat`: base and finetuned model side by side."""

from selfguide.apps.chat import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
