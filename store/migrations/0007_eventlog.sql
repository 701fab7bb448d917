-- 0007: the event log: what went wrong, one row for as long as it lasts.
-- The meaning of every column stands in store/tables/eventlog.py; a test proves that both give the same schema.
-- Released: never edit, add another one instead.

CREATE TABLE eventlog (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL,
    item TEXT DEFAULT 'account' NOT NULL,
    severity INTEGER DEFAULT 3 NOT NULL,
    kind TEXT DEFAULT '' NOT NULL,
    folder TEXT DEFAULT '' NOT NULL,
    uid INTEGER,
    text TEXT DEFAULT '' NOT NULL,
    run INTEGER,
    first_at INTEGER DEFAULT 0 NOT NULL,
    last_at INTEGER DEFAULT 0 NOT NULL,
    count INTEGER DEFAULT 1 NOT NULL,
    cleared_at INTEGER,
    FOREIGN KEY(account_id) REFERENCES accounts (id)
);
CREATE UNIQUE INDEX eventlog_open ON eventlog (account_id, item, kind, folder, severity) WHERE cleared_at IS NULL;
CREATE INDEX eventlog_by_account ON eventlog (account_id, id);
