-- Say what there is that this one does not have.
--
-- queue  whose items
-- me     who asks
-- known  ids of what it has
--
-- Returns one row: whether something is ready; in how many seconds the first of what others have, or nobody may have
-- yet, is due (null: there is none); whether others have any.

SELECT
  EXISTS (SELECT FROM pullahead.items WHERE queue = %(queue)s AND state = 'ready'),
  (SELECT extract(epoch FROM min(due) - now())::float8 FROM pullahead.items
   WHERE queue = %(queue)s AND state IN ('out', 'waiting')
     AND (owner IS DISTINCT FROM %(me)s OR NOT id = ANY(%(known)s::bigint[]))),
  EXISTS (SELECT FROM pullahead.items WHERE queue = %(queue)s AND state = 'out' AND owner <> %(me)s)
