"""Installed packages, read like project code: what a call of a library that nobody has described does."""
