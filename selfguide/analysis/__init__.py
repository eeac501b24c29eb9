"""What a run leaves behind: files and a table."""
