"""Live queues against peers, in one run: the same items, the same work, the same servers.

Run it with `python -m benchmarks.queues`, with `--quick` to see that it works. It starts a Redis and a
PostgreSQL of its own. Peers come with `pip install "pullahead[bench]"`; who is not there is named and left
out.

::

    work      what an item does, and the log in which each of its runs writes when it began and ended
    programs  consumers as programs: kept running, paused, ended, killed
    systems/  each contender: how its consumers are started, and how items are put
    site      one contender on a server of its own: puts items, waits until all have ended
    cases     throughput, utilization, hidden loads, latency under load, and how soon an item starts
    ideal     a central queue at no cost, on this machine
    kills     what is lost and repeated when workers and whole consumers are killed
    show      the table of the kills

How it is measured. Whatever the system, the work itself writes down when it began and ended, on the clock
that all processes of a machine share. Consumers are up and warm before; items are put beforehand into a place
where nobody looks, and moved to their queue in one step of the server, so that no producer competes with
workers for a core. Whoever is not at its turn is stopped: some look for items many times a second, and on two
cores that is felt. "Best" is what the documentation of a peer advises for such items, tried here; each
setting is named where it is made.
"""
