"""One file: from its bytes to a small record of what matters in it. Nothing here depends on another file."""
