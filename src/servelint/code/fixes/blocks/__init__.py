"""What is moved to a thread together, and whether that is safe."""
