"""Why moving something to a thread might change behaviour."""
