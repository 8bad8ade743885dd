-- Give back what the server says is this one's, and what it does not know of: the answer that would have told it was
-- lost with the connection.
--
-- queue  whose items
-- me     who says so
-- known  ids of what it knows of

UPDATE pullahead.items
SET state = 'waiting', owner = NULL, attempts = attempts - 1, due = now()
WHERE queue = %(queue)s AND state IN ('out', 'waiting') AND owner = %(me)s AND NOT id = ANY(%(known)s::bigint[])
