"""The shells around the machines of `core`: the queue actor, the worker actors, and the run in the caller.

::

    caller                          queue actor             worker actors
    pool ── crew ── run             queue (Ledger)          worker (Pipeline) ── work
              └─────── exchange ──────┘ └────── exchange ──────┘

Everything crosses in one verb, `exchange(peer, messages)`, so that the farm runs on any engine whose actors
can postpone an answer. The shells hold no policy: they feed events, perform effects and arm one timer.
"""
