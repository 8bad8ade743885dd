"""Queues in PostgreSQL. Needs `pip install 'pullahead[postgresql]'`, and PostgreSQL 13 or newer.

Addresses are libpq's, with what is ours in the query::

    postgresql://[user[:password]@]host[:port]/database?queue=jobs
    postgresql:///database?host=/var/run/postgresql&queue=jobs      a socket of this machine

    queue         the name of the queue, up to 48 bytes
    drain=1       the run ends when all that is in the queue has ended; without it, when it is interrupted
    results=0     keep no results: what is done is deleted; not for the rows of a table of yours
    retries       how many times what has failed is tried again later, by whoever takes it then (0)
    retry_delay   seconds before the first of these times; doubled for each further one, up to an hour (10)
    deliveries    an item that was delivered so often and never ended is dead (10)
    patience      seconds that a server may be away in the middle of a run (60)

All else in a query is libpq's, as far as it has such a parameter (`sslmode`, `connect_timeout`, …).

`pullahead queue init ADDRESS` makes the table `pullahead.items`, or brings an older one up to date. Whoever
may insert into it can put items, also in a transaction of their own, so that there is an item if that
commits, and only then::

    INSERT INTO pullahead.items (queue, item) VALUES ('jobs', '{"path": "a.mp4"}')

A table that you have is a queue by a short mapping: `pullahead queue init ADDRESS --table films --key id
--item path --result words` (see `adopt.py`).

How it works. The table is one machine, drawn on top of `sql/migrations/0001_items.sql`; the rules are those
of `pullahead.core.broker`, with priorities before them, and random sequences of operations on both are
compared by the tests. What a run has to tell and what it takes next are one transaction. A result is written
by the statement that ends its item, and only into one that has not ended: so it is there once, whatever
dies, and whoever else had the item. Who finds nothing listens: an idle queue is asked every ten seconds, and
a new item is taken as soon as its transaction commits.

Refused: locks that last as long as the work does (`SELECT … FOR UPDATE`, advisory locks). They need a
connection for each worker and no lease, but keep a transaction or a session open for hours: vacuum stops,
poolers and restarts lose everything. Refused: results in a table of their own, with a unique constraint: two
writes and a conflict for what one write does.
"""

from __future__ import annotations

from pullahead.sources.postgresql.queue import PostgresQueue
from pullahead.sources.postgresql.source import PostgresSource
from pullahead.sources.queue import DeadItem, Stats

__all__ = ["DeadItem", "PostgresQueue", "PostgresSource", "Stats"]
