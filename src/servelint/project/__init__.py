"""What is on disk, how it is configured, and what is remembered of it."""
