-- 0008: what a manager remembers of handlers and their items.
-- The meaning of every column stands in store/tables/handlers.py; a test proves that both give the same schema.
-- Released: never edit, add another one instead.

CREATE TABLE sync_items (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    handler TEXT DEFAULT '' NOT NULL,
    item TEXT DEFAULT '' NOT NULL,
    enabled INTEGER,
    active INTEGER DEFAULT 1 NOT NULL,
    removed INTEGER DEFAULT 0 NOT NULL,
    policies INTEGER DEFAULT 0 NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    synced_at INTEGER
);
CREATE UNIQUE INDEX sync_items_by_name ON sync_items (handler, item);
