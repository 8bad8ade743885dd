"""Where each policy wins and loses: the simulator over a grid of scenarios.

Run it with `python -m benchmarks.policy_grid`, with `--quick` to see that it works. An interrupted run goes
on when the same command is given again.
"""
