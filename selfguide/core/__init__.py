"""What every package may use: types, errors, seeds, escaping, files, paths, the terminal."""
