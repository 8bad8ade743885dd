"""Does a run with a journal survive whatever is killed? Workers, the queue and the driver are, at random.

Run it with `python -m benchmarks.chaos`, with `--quick` to see that it works. It takes about 80 s.
"""
