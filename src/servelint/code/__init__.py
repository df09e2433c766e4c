"""Python: from the bytes of one file to facts, from all facts to findings."""
