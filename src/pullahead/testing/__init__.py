"""For tests: other machines on one machine, and whether a source of your own keeps the rules.

`delay_line`, `skewed_clocks`: what else there is only on several machines. `pullahead.testing.sources` is the
suite that every source of ours passes; it is asked for by name, because it needs Hypothesis.
"""

from __future__ import annotations

from pullahead.testing.distance import DelayedLine as DelayedLine
from pullahead.testing.distance import delay_line, skewed_clocks

__all__ = ["delay_line", "skewed_clocks"]
