"""What travels between the queue and its peers: the workers and the caller.

Messages are plain tuples whose first element is one of the names below. A frozen dataclass would be nicer to
read and costs 6 µs to pickle each way; a tuple costs a tenth of that. They are one-way, and a peer's
messages arrive in the order in which it sent them. *Items* are numbers that the caller gave out, consecutive
in one submission; a payload is bytes (or a reference) that the queue passes on and never opens.

Worker to queue::

    (ASK, credits)                         send up to so many items more
    (HUNGRY, asked)                        nothing is left to compute, and so many items that it asked for
                                           have not come: if the queue knows of fewer, some are on their way
    (RECALLED, returned)                   answers a RECALL, behind what it gave back: so many items
    (STUCK,)                               what runs takes long: it takes back its asks, and next it gives
                                           back what it holds
    (STARTED, lease, items)                what runs: goes with what is sent anyway
    (DONE, lease, items, payloads)         results, in the order of the items
    (FAILED, lease, item, payload, kind, delay)   see `pullahead.core.retry`; the payload is an error, and
                                           from when to when the attempt lasted
    (UNSTORED, lease, item, payload, kind, delay)   likewise, but its result is there and can be stored again
    (GAVE_BACK, lease, items)              unstarted, and free to run elsewhere
    (STILL, lease, held, running)          to a queue that took the place of one that died: what is here
    (BACK,)                                that is all
    (CLOCK, asked)                         what does your clock show? Asked at this moment of its own one
    (OFFSET, sample)                       what such an answer told, as in `pullahead.core.clocks`
    (TOTALS, totals)                       running sums of `pullahead.core.meter`, now and then
    (TRACE, spans)                         what was recorded since the last one
    (BYE,)                                 nothing is held, nothing runs, everything was reported

Queue to worker::

    (GRANT, lease, first, payloads, waited, cause, backlog)   consecutive items; the ask waited so long, for
                                           whom; behind them, so many items are ready for each worker (very
                                           many: the caller has more and may not send it yet). There is one
                                           thing more if some of the items are suspect: which
    (RECALL, size)                         give back up to so many items: another worker would run them now
    (UNASKED, credits)                     answers STUCK: so many credits, the oldest, were left and are taken
                                           back
    (STORE_AGAIN, lease, item, delay)      answers UNSTORED: so many seconds from now
    (FORGET, lease, item)                  answers it, too: the item has failed for good, or is not yours
    (RECORDED, reports)                    so many of its reports more (DONE, FAILED, UNSTORED) are on disk
    (WITHDRAW, lease)                      give back what is unstarted of it: its run was cancelled
    (CLOSED, waited, cause)                nothing more is on its way for now: do not wait for it
    (CLOCK, asked, came, left)             answers CLOCK: when that came and this left, on the queue's clock
    (STOP,)                                give back, finish what runs, report, say bye

Queue to queue, where there are several; see `pullahead.core.neighbours` and `claims`::

    (WANT, number, credits, hungry, workers)   what it wants from now on: up to so many items, for so many
                                           hungry workers of so many that it has; 0: nothing any more
    (MOVED, number, left, lots)            answers the WANT of that number with items that are its own now; so
                                           many unstarted ones are left. A lot: the run, the first item, the
                                           payloads, and the histories of those that have one
    (NONE_LEFT, number)                    nothing more is to come for that WANT, which stands all the same
    (PAST, tries, lost)                    ahead of a MOVED: what was tried of its items, and which of them
                                           have lost a result

Caller to queue::

    (MEET, queues)                         there are these, itself among them, by their numbers
    (RETURNING, workers)                   to a queue that took the place of one that died: who is still there
    (OPEN, run, delays)                    a run begins; whether its source can have an item come again later
    (SUBMIT, run, first, payloads, cause)  items; `cause` says what kept the caller from sending them earlier.
                                           With a journal, there is one thing more: what it knows of each
    (CLOSE, run)                           no more items will come
    (CANCEL, run)                          forget what is unstarted, finish what runs
    (SHARE, run, hungry)                   so many workers of others that take from its source have nothing to
                                           compute: what is unstarted may be left to them. 0: none any more
    (OVER, run)                            where there are several queues: all of it has ended, forget it
    (LOST, worker, payload, running, loading)   its process ended; the error that its running items end with,
                                           which those are, if that is known, and what it was loading
    (UNSENT, entry, tries)                 for the journal: an item has failed because it cannot be pickled
    (CLOCK, asked)                         as a worker says it
    (DELIVERED, sink, places, size)        a sink was handed the ends of these; if `places` is None, it begins
                                           anew
    (DRAIN, worker)                        tell this one to stop
    (STOP,)                                tell every worker to stop

Queue to caller::

    (OUTCOMES, run, state, items, payloads)   "done" with results, as they were reported; "dead" with what was
                                           tried; "left" with nothing, or with the seconds until it is to come
                                           again, as often
    (STARVED, run)                         workers wait although the run is not closed
    (ENDED, run)                           every item that was submitted has ended
    (WENT, queue, items)                   so many of its items are another queue's now
    (SAVED, what)                          answers UNSENT and DELIVERED: it is on disk
    (UNRECORDED, error)                    the journal cannot be written any more
    (CLOCK, asked, came, left)             as to a worker
    (JOINED, worker)                       its first call came; said only where workers come and go, as is
    (STANDING, unstarted, pace, lasted, idle, is_over)   see `core.scaling.Facts`; `idle` is by worker
    (OFFSET, worker, sample), (TOTALS, worker, totals), (TRACE, worker, spans), (BYE, worker)
"""

from __future__ import annotations

from typing import Any, Final

Message = tuple[Any, ...]

#: What a worker says of items that have ended with it, in one way or another.
REPORTS: Final = frozenset({"done", "failed", "unstored"})

#: The caller's number as a peer; workers count from 0, and queues from the one below the caller's downwards.
CALLER: Final = -1


def as_peer(queue: int) -> int:
    """Return the number of a queue as a peer of another one; and of such a peer, that of its queue."""
    return CALLER - 1 - queue


ASK: Final = "ask"
STARTED: Final = "started"
DONE: Final = "done"
FAILED: Final = "failed"
UNSTORED: Final = "unstored"
GAVE_BACK: Final = "gave_back"
CLOCK: Final = "clock"
OFFSET: Final = "offset"
TOTALS: Final = "totals"
TRACE: Final = "trace"
BYE: Final = "bye"

STILL: Final = "still"
BACK: Final = "back"
HUNGRY: Final = "hungry"
RECALLED: Final = "recalled"
STUCK: Final = "stuck"

GRANT: Final = "grant"
RECALL: Final = "recall"
UNASKED: Final = "unasked"
STORE_AGAIN: Final = "store_again"
FORGET: Final = "forget"
RECORDED: Final = "recorded"
WITHDRAW: Final = "withdraw"
CLOSED: Final = "closed"
STOP: Final = "stop"

WANT: Final = "want"
MOVED: Final = "moved"
NONE_LEFT: Final = "none_left"
PAST: Final = "past"

MEET: Final = "meet"
OVER: Final = "over"
WENT: Final = "went"

RETURNING: Final = "returning"
OPEN: Final = "open"
SUBMIT: Final = "submit"
CLOSE: Final = "close"
CANCEL: Final = "cancel"
SHARE: Final = "share"
LOST: Final = "lost"
UNSENT: Final = "unsent"
DELIVERED: Final = "delivered"
DRAIN: Final = "drain"

OUTCOMES: Final = "outcomes"
STARVED: Final = "starved"
ENDED: Final = "ended"
SAVED: Final = "saved"
UNRECORDED: Final = "unrecorded"
JOINED: Final = "joined"
STANDING: Final = "standing"
