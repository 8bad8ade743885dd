-- Tell whoever listens to a queue. Heard when the transaction commits.
--
-- channel  of the queue
-- said     '': there may be something to take

SELECT pg_notify(%(channel)s, %(said)s)
