"""What is measured and how the bundled model was made: not part of the installed package."""
