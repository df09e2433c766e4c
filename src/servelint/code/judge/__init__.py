"""What blocks, by which way and how sure; and why something does not."""
