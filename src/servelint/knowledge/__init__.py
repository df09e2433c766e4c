"""What `rules/` says: pages of rules, libraries, frameworks, servers, as types."""
