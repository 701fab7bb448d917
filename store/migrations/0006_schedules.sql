-- 0006: groups of accounts, when they run by themselves, and whether anything does.
-- The meaning of every column stands in store/tables/schedules.py; a test proves that both give the same schema.
-- Released: never edit, add another one instead.

CREATE TABLE sync_groups (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    name TEXT DEFAULT '' NOT NULL,
    send INTEGER DEFAULT 1 NOT NULL,
    receive INTEGER DEFAULT 1 NOT NULL,
    folders TEXT DEFAULT '' NOT NULL,
    headers_only INTEGER DEFAULT 0 NOT NULL,
    size_max INTEGER,
    on_f9 INTEGER DEFAULT 1 NOT NULL,
    UNIQUE (name)
);

CREATE TABLE group_members (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    group_id INTEGER NOT NULL,
    account_id INTEGER NOT NULL,
    number INTEGER DEFAULT 0 NOT NULL,
    FOREIGN KEY(group_id) REFERENCES sync_groups (id) ON DELETE CASCADE,
    FOREIGN KEY(account_id) REFERENCES accounts (id)
);
CREATE INDEX members_by_account ON group_members (account_id);
CREATE UNIQUE INDEX members_in_order ON group_members (group_id, number);

CREATE TABLE schedules (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    group_id INTEGER,
    text TEXT DEFAULT '' NOT NULL,
    zone TEXT DEFAULT 'UTC' NOT NULL,
    enabled INTEGER DEFAULT 1 NOT NULL,
    next_run INTEGER,
    retry_at INTEGER,
    failures INTEGER DEFAULT 0 NOT NULL,
    last_run INTEGER,
    last_outcome TEXT DEFAULT '' NOT NULL,
    owner TEXT DEFAULT '' NOT NULL,
    lease_until INTEGER,
    lease_seconds INTEGER DEFAULT 0 NOT NULL,
    FOREIGN KEY(group_id) REFERENCES sync_groups (id) ON DELETE CASCADE
);
CREATE INDEX schedules_by_group ON schedules (group_id);
CREATE INDEX schedules_held ON schedules (id) WHERE lease_until IS NOT NULL;

CREATE TABLE manager (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    paused INTEGER DEFAULT 0 NOT NULL
);

INSERT INTO manager (paused) VALUES (0);
