"""What a fix makes of a file, compared with what it says that it does."""
