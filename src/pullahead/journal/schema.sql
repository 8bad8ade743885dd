-- A journal: one file per run of a work over its items. See the package's documentation.
-- `item` and `result` are TEXT where they are JSON, and otherwise a pickle in a BLOB.

CREATE TABLE facts (
    name  TEXT PRIMARY KEY NOT NULL,  -- work, version, places ('position' or 'key'), created
    value
);

-- One row for each time that the journal was opened for a run.
CREATE TABLE sessions (
    number INTEGER PRIMARY KEY NOT NULL,
    began  REAL NOT NULL,             -- seconds since the epoch
    pid    INTEGER NOT NULL           -- of the process that wants the results
);

-- Where results went, and how many bytes of it were there at the last commit, if it is a file.
CREATE TABLE sinks (
    number INTEGER PRIMARY KEY NOT NULL,
    name   TEXT UNIQUE NOT NULL,
    size   INTEGER
);

-- What has ended, or was charged an attempt.
CREATE TABLE items (
    place    PRIMARY KEY NOT NULL,    -- its position in the source, from 0; or its key
    digest   BLOB,                    -- of the item; NULL where a key says which it is
    state    TEXT NOT NULL CHECK (state IN ('done', 'failed', 'open')),
    attempts INTEGER NOT NULL,        -- charged ones
    item     NOT NULL,
    label    TEXT,                    -- the item for people, where it is no JSON
    result,
    session  INTEGER NOT NULL         -- in which it ended, or was charged last
);

-- Which sinks were handed the ends of which items.
CREATE TABLE deliveries (
    sink  INTEGER NOT NULL,
    place NOT NULL,
    PRIMARY KEY (sink, place)
) WITHOUT ROWID;

-- What failed and is tried again will have another end, of which no sink knows.
CREATE TRIGGER tried_again AFTER UPDATE OF state ON items WHEN old.state = 'failed' BEGIN
    DELETE FROM deliveries WHERE sink IN (SELECT number FROM sinks) AND place = old.place;
END;

-- Attempts that failed.
CREATE TABLE attempts (
    place     NOT NULL,
    number    INTEGER NOT NULL,       -- from 1
    worker    INTEGER,
    began     REAL,
    ended     REAL NOT NULL,
    summary   TEXT NOT NULL,          -- the exception in a line
    traceback TEXT NOT NULL,
    error     BLOB NOT NULL,          -- the exception, pickled
    PRIMARY KEY (place, number)
);
