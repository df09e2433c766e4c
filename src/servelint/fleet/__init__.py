"""Many checkouts at once: each is checked by a process of its own, here or on a cluster."""
