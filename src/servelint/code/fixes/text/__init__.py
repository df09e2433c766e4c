"""One file under edit: its tree, its names and imports, and how the project lays out code."""
