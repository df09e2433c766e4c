"""Which findings are reported, and what becomes of the others."""
