"""Measured stalls: what asyncio's debug mode logged, put on the findings of the coroutines it names."""
