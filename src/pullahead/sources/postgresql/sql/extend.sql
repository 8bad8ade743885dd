-- Move deadlines on, of those items that are still this one's.
--
-- me     whose they are
-- lease  seconds from now
-- ids    of the items

UPDATE pullahead.items SET due = now() + make_interval(secs => %(lease)s)
WHERE id = ANY(%(ids)s::bigint[]) AND state = 'out' AND owner = %(me)s
