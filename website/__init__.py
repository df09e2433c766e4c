"""The manual as a site: `python -m website` builds it, the pages of `docs/` and `rules/` stay as they are."""
