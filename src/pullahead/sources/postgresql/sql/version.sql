-- Say which migration was applied last; 0 if none was.
--
-- Fails if there is no such table: then there is nothing of ours at all.

SELECT coalesce(max(version), 0) FROM pullahead.migrations
