"""What is moved to a thread together."""
