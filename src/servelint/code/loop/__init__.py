"""Who runs on the event loop, who hands work to other threads, and where serving begins."""
