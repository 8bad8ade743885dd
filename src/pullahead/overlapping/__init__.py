"""The pattern in one line: fetch the next items while the current one is computed.

    for item in pullahead.overlap(queue.get_work_item.remote, give_back=queue.put_back.remote):
        process(item)

Rules:
1. Items come in the order in which they were requested, whatever the order of the answers.
2. Requests are made as in the pattern: wait for an item, ask for the next, compute. While the caller
   computes, `lookahead` items are in hand or asked for; while it waits, at least one is asked for.
3. The first sentinel among the answers, in turn or not, ends the requests. The iteration ends once every
   request under way has been answered, so items behind the sentinel are yielded first.
4. A failed fetch is raised at its turn, and the next `next()` goes on. A generator could not: it is finished
   by its first exception. Hence a class that behaves like one.
5. Nothing that was fetched vanishes: it is yielded, given back, or counted in a warning. That holds for
   answers that come after the caller has left, too; nobody waits for those.

`pullahead.core.prefetch` decides about requests and their order; `pullahead.core.lookahead` how many, fed
with the times measured here, under a `pullahead.core.ceiling`. `flow` says who fetches, on which thread.
"""

from pullahead.overlapping.api import overlap
from pullahead.overlapping.iterator import Overlap
from pullahead.overlapping.statistics import Statistics, Times

__all__ = ["Overlap", "Statistics", "Times", "overlap"]
