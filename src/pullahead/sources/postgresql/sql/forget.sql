-- End items of which nothing is kept: `done`, where results are not wanted.
--
-- ids  of the items

DELETE FROM pullahead.items WHERE id = ANY(%(ids)s::bigint[]) AND state IN ('ready', 'out', 'waiting')
