-- Tell whoever listens to a queue. Heard when the transaction commits.
--
-- channel  of the queue
-- said     '': there may be something to take; 'hungry 2 NAME': so many workers of a consumer have nothing to compute

SELECT pg_notify(%(channel)s, %(said)s)
