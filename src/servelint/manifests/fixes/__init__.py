"""Text edits that cure findings about manifests. A fix never decides what is wrong."""
