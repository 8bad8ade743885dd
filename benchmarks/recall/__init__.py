"""How soon work that has not begun reaches a worker that is idle, on real processes.

Run it with `python -m benchmarks.recall`, with `--quick` to see that it works.
"""
