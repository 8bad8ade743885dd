"""Redis Streams as sources and sinks. Needs `pip install 'pullahead[redis]'`, and Redis 7 or newer.

Addresses are redis-py's, with what is ours in the query::

    redis://[[user]:password@]host[:port]/db?stream=jobs&group=g     items from there
    redis://host/db?stream=results                                   results into there
    rediss://…    the same over TLS          unix:///path/to.sock?…   a socket of this machine

    stream, group    the stream, and the consumer group that shares it; made if they are not there, and then
                     all that is in the stream counts
    field            which field of an entry holds the item as JSON (item); an entry without it is an item as
                     a whole: a dict of its fields, texts where they are UTF-8 and bytes where they are not
    dead             the stream for what has failed (jobs:dead); of a sink: where failures go, instead of
                     among the results
    deliveries       an item that was delivered so often and never ended is dead (10)
    drain=1          the run ends when all that is in the stream has ended; without it, when it is interrupted
    patience         seconds that a server may be away in the middle of a run (60)
    maxlen           of a sink: about how many entries its stream keeps; without it, all
    cluster=1        a Redis Cluster, of which the address is one node; dead has to be in the slot of stream,
                     as {jobs}:dead is, which is there by itself

All else in a query is redis-py's, as far as it has such an option (`ssl_ca_certs`, `socket_timeout`, …).

How it works. One consumer for each run takes from the group. What a server remembers of an entry that is out
is whose it is, how often it was delivered, and when it was last: "idle" counts up from there, and whoever
finds an entry that was idle for MOST seconds may have it. A lease shorter than that begins with so much
idleness on the clock; giving back is the same with all of it. So every consumer decides about its own
deadlines, and nobody's clock is compared with anybody else's. The rules are those of `pullahead.core.broker`,
restated in `lua/` so that each step is one step of the server; random sequences of operations on both are
compared by the tests.

In a cluster a stream is on one node, to which everything goes. A node that does not answer is looked for
again.

`pullahead queue put, stats, failed, retry` work with such addresses, and `RedisQueue` does the same in
Python.

Consumers whose workers have nothing to compute say so in the channel `pullahead:STREAM:GROUP` (pub/sub), and
others give back what they have not begun. Where the channel is refused, nobody hears, and all else goes on.

Refused: XAUTOCLAIM. It claims from the one who asks as well, so that whoever was late in extending would be
handed what it is working on; XPENDING and XCLAIM in one script do the same with that exception. Refused:
acknowledging an item at once and adding it again if it fails: what dies in between is lost. Refused: a script
that is sent once and called by its digest: a server that restarts has forgotten it, and a kilobyte for each
batch of items is cheap.
"""

from __future__ import annotations

from pullahead.sources.redis.queue import RedisQueue
from pullahead.sources.redis.sink import RedisSink
from pullahead.sources.redis.source import RedisSource

__all__ = ["RedisQueue", "RedisSink", "RedisSource"]
