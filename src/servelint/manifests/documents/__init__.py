"""Text that remembers where it was written, and YAML made of it."""
