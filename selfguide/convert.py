"""`python -m selfguide.convert MODEL FOLDER`: pickled weights, written as safetensors."""

from selfguide.apps.convert import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
