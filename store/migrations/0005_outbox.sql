-- 0005: the outbox: messages on their way out, their recipients, and how each account's outbox stands.
-- The meaning of every column stands in store/tables/outbox.py; a test proves that both give the same schema.
-- Released: never edit, add another one instead.

CREATE TABLE submissions (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL,
    state TEXT DEFAULT 'queued' NOT NULL,
    sender TEXT DEFAULT '' NOT NULL,
    header_id INTEGER NOT NULL,
    blob_id INTEGER NOT NULL,
    size INTEGER DEFAULT 0 NOT NULL,
    message_id TEXT DEFAULT '' NOT NULL,
    subject TEXT DEFAULT '' NOT NULL,
    eight_bit INTEGER DEFAULT 0 NOT NULL,
    utf8 INTEGER DEFAULT 0 NOT NULL,
    notify TEXT DEFAULT '' NOT NULL,
    priority INTEGER DEFAULT 0 NOT NULL,
    "key" TEXT DEFAULT '' NOT NULL,
    digest BLOB DEFAULT (x'') NOT NULL,
    draft INTEGER,
    submitted_at INTEGER DEFAULT 0 NOT NULL,
    not_before INTEGER,
    next_try INTEGER,
    tries INTEGER DEFAULT 0 NOT NULL,
    doubts INTEGER DEFAULT 0 NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    reply_code INTEGER,
    reply_enhanced TEXT DEFAULT '' NOT NULL,
    reply_text TEXT DEFAULT '' NOT NULL,
    owner TEXT DEFAULT '' NOT NULL,
    lease_until INTEGER,
    lease_seconds INTEGER DEFAULT 0 NOT NULL,
    dot INTEGER DEFAULT 0 NOT NULL,
    finished_at INTEGER,
    doubted_at INTEGER,
    filed_as INTEGER,
    FOREIGN KEY(account_id) REFERENCES accounts (id),
    FOREIGN KEY(header_id) REFERENCES headers (id),
    FOREIGN KEY(blob_id) REFERENCES blobs (id)
);
CREATE INDEX submissions_by_account ON submissions (account_id, id);
CREATE INDEX submissions_open ON submissions (account_id, priority DESC, id) WHERE finished_at IS NULL;
CREATE INDEX submissions_held ON submissions (account_id, id) WHERE lease_until IS NOT NULL;
CREATE UNIQUE INDEX submissions_by_key ON submissions (account_id, "key") WHERE "key" <> '';
CREATE INDEX submissions_by_age ON submissions (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX submissions_by_blob ON submissions (blob_id);
CREATE INDEX submissions_by_header ON submissions (header_id);
CREATE INDEX submissions_by_copy ON submissions (filed_as) WHERE filed_as IS NOT NULL;

CREATE TABLE recipients (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL,
    submission_id INTEGER NOT NULL,
    number INTEGER DEFAULT 0 NOT NULL,
    address TEXT DEFAULT '' NOT NULL,
    fate TEXT DEFAULT 'waiting' NOT NULL,
    code INTEGER,
    enhanced TEXT DEFAULT '' NOT NULL,
    text TEXT DEFAULT '' NOT NULL,
    FOREIGN KEY(account_id) REFERENCES accounts (id),
    FOREIGN KEY(submission_id) REFERENCES submissions (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX recipients_in_order ON recipients (submission_id, number);
CREATE INDEX recipients_by_account ON recipients (account_id);

CREATE TABLE outboxes (
    account_id INTEGER NOT NULL,
    suspended INTEGER DEFAULT 0 NOT NULL,
    filing TEXT DEFAULT 'unknown' NOT NULL,
    PRIMARY KEY (account_id),
    FOREIGN KEY(account_id) REFERENCES accounts (id)
);
