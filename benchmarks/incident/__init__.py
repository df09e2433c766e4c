"""The incident, reproduced and measured. Run `python -m benchmarks.incident --help` from the repository."""
