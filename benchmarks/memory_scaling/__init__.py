"""What memory does to an autoscaler. Run `python -m benchmarks.memory_scaling` from the repository."""
