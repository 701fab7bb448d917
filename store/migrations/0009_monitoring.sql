-- 0009: alerts: that an account's synchronization fails, from the first error to the last one's end, and who was told;
-- where an open run is; when the store was cleaned, and how far a cleaning that was cut off came.
-- The meaning of every column stands in store/tables; a test proves that both give the same schema.
-- Released: never edit, add another one instead.

CREATE TABLE alerts (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL,
    item TEXT DEFAULT 'account' NOT NULL,
    kind TEXT DEFAULT '' NOT NULL,
    folder TEXT DEFAULT '' NOT NULL,
    text TEXT DEFAULT '' NOT NULL,
    run INTEGER,
    raised_at INTEGER DEFAULT 0 NOT NULL,
    cleared_at INTEGER,
    told_raised TEXT DEFAULT '' NOT NULL,
    told_cleared TEXT DEFAULT '' NOT NULL,
    tries INTEGER DEFAULT 0 NOT NULL,
    next_try INTEGER DEFAULT 0 NOT NULL,
    FOREIGN KEY(account_id) REFERENCES accounts (id)
);
CREATE UNIQUE INDEX alerts_open ON alerts (account_id) WHERE cleared_at IS NULL;
CREATE INDEX alerts_by_account ON alerts (account_id, id);
CREATE INDEX alerts_to_tell ON alerts (next_try);

ALTER TABLE runs ADD COLUMN phase TEXT DEFAULT '' NOT NULL;
ALTER TABLE runs ADD COLUMN done INTEGER DEFAULT 0 NOT NULL;
ALTER TABLE runs ADD COLUMN total INTEGER DEFAULT 0 NOT NULL;

ALTER TABLE state ADD COLUMN cleaned_at INTEGER DEFAULT 0 NOT NULL;
ALTER TABLE state ADD COLUMN next_blob INTEGER DEFAULT 0 NOT NULL;
ALTER TABLE state ADD COLUMN next_header INTEGER DEFAULT 0 NOT NULL;
