"""How fast, next to peers. Run `python -m benchmarks.speed --help` from the repository."""
