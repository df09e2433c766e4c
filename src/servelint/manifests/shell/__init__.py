"""What command lines and scripts start."""
