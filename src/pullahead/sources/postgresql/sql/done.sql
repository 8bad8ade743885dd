-- Record results, each in the step that ends its item. The first one counts, whoever has the item meanwhile: so an
-- item has one, and it does no harm to say so twice.
--
-- ids      of the items
-- results  their results as JSON; null where nothing is kept

UPDATE pullahead.items AS one
SET state = 'done', owner = NULL, due = NULL, reason = NULL, result = told.result::json, ended_at = clock_timestamp()
FROM unnest(%(ids)s::bigint[], %(results)s::text[]) AS told(id, result)
WHERE one.id = told.id AND one.state IN ('ready', 'out', 'waiting')
