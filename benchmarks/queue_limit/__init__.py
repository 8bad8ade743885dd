"""How many workers one queue can feed, and what an exchange and an item cost it, on either engine.

Run it with `python -m benchmarks.queue_limit`, with `--quick` to see that it works.
"""
