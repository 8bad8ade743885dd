-- Enable a trigger that somebody has disabled. Nobody else writes into its table until this is over, as if it was made.
--
-- In braces, filled in before it is sent:
--   name    of the trigger
--   table   of which table

ALTER TABLE {table} ENABLE TRIGGER {name}
