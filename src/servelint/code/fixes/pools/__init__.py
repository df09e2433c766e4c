"""Where offloaded work runs: the pool that a service has or gets, its size, its start and its end."""
