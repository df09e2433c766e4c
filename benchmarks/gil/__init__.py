"""Which libraries let other Python threads run. Run `python -m benchmarks.gil --help` from the repository."""
