"""Text edits that cure findings about code. A fix never decides what is wrong."""
