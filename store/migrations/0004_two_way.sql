-- 0004: what people change here: the log of operations, conflicts, twins, wishes that survive in tombstones.
-- Released: never edit, add another one instead.

ALTER TABLE messages ADD COLUMN twin_of INTEGER;
CREATE INDEX messages_by_twin ON messages (twin_of) WHERE twin_of IS NOT NULL;
CREATE INDEX messages_wished ON messages (account_id, "key") WHERE local_flags IS NOT NULL;

ALTER TABLE tombstones ADD COLUMN local_flags INTEGER;
ALTER TABLE tombstones ADD COLUMN local_keywords TEXT;

CREATE TABLE operations (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL,
    batch INTEGER DEFAULT 0 NOT NULL,
    kind TEXT DEFAULT '' NOT NULL,
    state TEXT DEFAULT 'queued' NOT NULL,
    message INTEGER,
    folder_id INTEGER DEFAULT 0 NOT NULL,
    target_id INTEGER,
    twin INTEGER,
    origin INTEGER,
    added TEXT DEFAULT '' NOT NULL,
    removed TEXT DEFAULT '' NOT NULL,
    path TEXT,
    name BLOB,
    tries INTEGER DEFAULT 0 NOT NULL,
    next_try_at INTEGER,
    reason TEXT DEFAULT '' NOT NULL,
    server_text TEXT DEFAULT '' NOT NULL,
    created_at INTEGER DEFAULT 0 NOT NULL,
    finished_at INTEGER,
    epoch_before INTEGER,
    uid_next_before INTEGER,
    awaits INTEGER DEFAULT 0 NOT NULL,
    kept INTEGER DEFAULT 0 NOT NULL,
    approved INTEGER DEFAULT 0 NOT NULL,
    key_before INTEGER DEFAULT 0 NOT NULL,
    FOREIGN KEY(account_id) REFERENCES accounts (id)
);
CREATE INDEX operations_pending ON operations (account_id, id) WHERE finished_at IS NULL;
CREATE INDEX operations_by_account ON operations (account_id, id);
CREATE INDEX operations_by_origin ON operations (origin) WHERE origin IS NOT NULL;
CREATE INDEX operations_by_message ON operations (message, id) WHERE message IS NOT NULL;
CREATE INDEX operations_by_folder ON operations (folder_id, id);
CREATE INDEX operations_by_batch ON operations (batch, id);
CREATE INDEX operations_awaiting ON operations (account_id, id) WHERE awaits = 1;
CREATE INDEX operations_by_age ON operations (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE conflicts (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL,
    kind TEXT DEFAULT '' NOT NULL,
    operation INTEGER,
    message INTEGER,
    versions TEXT DEFAULT '[]' NOT NULL,
    choices TEXT DEFAULT '' NOT NULL,
    done TEXT,
    detected_at INTEGER DEFAULT 0 NOT NULL,
    resolved_at INTEGER,
    resolution TEXT,
    FOREIGN KEY(account_id) REFERENCES accounts (id)
);
CREATE INDEX conflicts_open ON conflicts (account_id, id) WHERE resolved_at IS NULL;
CREATE INDEX conflicts_by_account ON conflicts (account_id, id);
CREATE INDEX conflicts_by_operation ON conflicts (operation) WHERE operation IS NOT NULL;
