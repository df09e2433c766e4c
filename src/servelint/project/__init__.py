"""What a project is: how it is configured, what is remembered of it, and how its files are opened."""
