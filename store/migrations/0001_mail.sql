-- 0001: accounts, folders, messages, headers, blobs, tombstones, cursors, troubles, runs.
-- The meaning of every column stands in store/tables/; a test proves that both give the same schema.
-- Released: never edit, add 0002 instead.

CREATE TABLE state (
    id INTEGER NOT NULL,
    change_seq INTEGER DEFAULT 0 NOT NULL,
    purged_seq INTEGER DEFAULT 0 NOT NULL,
    PRIMARY KEY (id)
);

CREATE TABLE accounts (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    name TEXT DEFAULT '' NOT NULL,
    created_at INTEGER DEFAULT 0 NOT NULL,
    removed INTEGER DEFAULT 0 NOT NULL,
    UNIQUE (name)
);

CREATE TABLE folders (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL,
    name BLOB DEFAULT (x'') NOT NULL,
    path TEXT DEFAULT '' NOT NULL,
    delimiter TEXT,
    role TEXT DEFAULT '' NOT NULL,
    attributes TEXT DEFAULT '' NOT NULL,
    selectable INTEGER DEFAULT 1 NOT NULL,
    subscribed INTEGER,
    object_id TEXT DEFAULT '' NOT NULL,
    state TEXT DEFAULT 'active' NOT NULL,
    missing_since INTEGER,
    note TEXT DEFAULT '' NOT NULL,
    messages INTEGER DEFAULT 0 NOT NULL,
    unseen INTEGER DEFAULT 0 NOT NULL,
    bodies INTEGER DEFAULT 0 NOT NULL,
    listed INTEGER DEFAULT 0 NOT NULL,
    created_seq INTEGER DEFAULT 0 NOT NULL,
    changed_seq INTEGER DEFAULT 0 NOT NULL,
    FOREIGN KEY(account_id) REFERENCES accounts (id)
);
CREATE INDEX folders_by_change ON folders (changed_seq);
CREATE INDEX folders_by_name ON folders (account_id, name);
CREATE INDEX folders_by_path ON folders (account_id, path);

CREATE TABLE cursors (
    folder_id INTEGER NOT NULL,
    account_id INTEGER NOT NULL,
    epoch INTEGER,
    mod_seq INTEGER,
    uid_next INTEGER,
    messages INTEGER,
    listed_from INTEGER,
    distrust TEXT DEFAULT '' NOT NULL,
    epoch_changes INTEGER DEFAULT 0 NOT NULL,
    proven_at INTEGER,
    checked_at INTEGER,
    PRIMARY KEY (folder_id),
    FOREIGN KEY(folder_id) REFERENCES folders (id) ON DELETE CASCADE,
    FOREIGN KEY(account_id) REFERENCES accounts (id)
);

CREATE TABLE headers (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL,
    digest BLOB DEFAULT (x'') NOT NULL,
    octets INTEGER DEFAULT 0 NOT NULL,
    data BLOB DEFAULT (x'') NOT NULL,
    subject TEXT DEFAULT '' NOT NULL,
    senders TEXT DEFAULT '[]' NOT NULL,
    date_at INTEGER,
    date_offset INTEGER DEFAULT 0 NOT NULL,
    message_id TEXT DEFAULT '' NOT NULL,
    received INTEGER DEFAULT 0 NOT NULL,
    FOREIGN KEY(account_id) REFERENCES accounts (id)
);
CREATE UNIQUE INDEX headers_by_digest ON headers (account_id, digest);

CREATE TABLE blobs (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL,
    digest BLOB,
    octets INTEGER DEFAULT 0 NOT NULL,
    chunks INTEGER DEFAULT 0 NOT NULL,
    FOREIGN KEY(account_id) REFERENCES accounts (id)
);
CREATE UNIQUE INDEX blobs_by_digest ON blobs (account_id, digest);

CREATE TABLE chunks (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL,
    blob_id INTEGER NOT NULL,
    number INTEGER DEFAULT 0 NOT NULL,
    octets INTEGER DEFAULT 0 NOT NULL,
    data BLOB DEFAULT (x'') NOT NULL,
    FOREIGN KEY(account_id) REFERENCES accounts (id),
    FOREIGN KEY(blob_id) REFERENCES blobs (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX chunks_in_order ON chunks (blob_id, number);

CREATE TABLE messages (
    "key" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL,
    folder_id INTEGER NOT NULL,
    epoch INTEGER DEFAULT 0 NOT NULL,
    uid INTEGER DEFAULT 0 NOT NULL,
    server_flags INTEGER DEFAULT 0 NOT NULL,
    server_keywords TEXT DEFAULT '' NOT NULL,
    local_flags INTEGER,
    local_keywords TEXT,
    mod_seq INTEGER DEFAULT 0 NOT NULL,
    internal_at INTEGER DEFAULT (-4611686018427387904) NOT NULL,
    internal_offset INTEGER DEFAULT 0 NOT NULL,
    size INTEGER,
    header_id INTEGER,
    blob_id INTEGER,
    email_id TEXT DEFAULT '' NOT NULL,
    created_seq INTEGER DEFAULT 0 NOT NULL,
    changed_seq INTEGER DEFAULT 0 NOT NULL,
    FOREIGN KEY(account_id) REFERENCES accounts (id),
    FOREIGN KEY(folder_id) REFERENCES folders (id),
    FOREIGN KEY(header_id) REFERENCES headers (id),
    FOREIGN KEY(blob_id) REFERENCES blobs (id)
);
CREATE INDEX messages_bodiless ON messages (folder_id, uid) WHERE blob_id IS NULL;
CREATE INDEX messages_by_blob ON messages (blob_id) WHERE blob_id IS NOT NULL;
CREATE INDEX messages_by_change ON messages (changed_seq) WHERE header_id IS NOT NULL;
CREATE INDEX messages_by_folder ON messages (folder_id);
CREATE INDEX messages_by_header ON messages (header_id) WHERE header_id IS NOT NULL;
CREATE UNIQUE INDEX messages_by_uid ON messages (folder_id, epoch, uid);
CREATE INDEX messages_headerless ON messages (folder_id, uid) WHERE header_id IS NULL;
CREATE INDEX messages_newest ON messages (folder_id, internal_at, "key") WHERE header_id IS NOT NULL;
CREATE INDEX messages_newest_all ON messages (account_id, internal_at, "key") WHERE header_id IS NOT NULL;

CREATE TABLE partials (
    blob_id INTEGER NOT NULL,
    account_id INTEGER NOT NULL,
    folder_id INTEGER NOT NULL,
    epoch INTEGER DEFAULT 0 NOT NULL,
    uid INTEGER DEFAULT 0 NOT NULL,
    PRIMARY KEY (blob_id),
    FOREIGN KEY(blob_id) REFERENCES blobs (id) ON DELETE CASCADE,
    FOREIGN KEY(account_id) REFERENCES accounts (id),
    FOREIGN KEY(folder_id) REFERENCES folders (id) ON DELETE CASCADE
);
CREATE INDEX partials_by_account ON partials (account_id);
CREATE UNIQUE INDEX partials_by_uid ON partials (folder_id, epoch, uid);

CREATE TABLE tombstones (
    "key" INTEGER NOT NULL,
    account_id INTEGER NOT NULL,
    folder_id INTEGER DEFAULT 0 NOT NULL,
    epoch INTEGER DEFAULT 0 NOT NULL,
    uid INTEGER DEFAULT 0 NOT NULL,
    server_flags INTEGER DEFAULT 0 NOT NULL,
    server_keywords TEXT DEFAULT '' NOT NULL,
    mod_seq INTEGER DEFAULT 0 NOT NULL,
    internal_at INTEGER DEFAULT (-4611686018427387904) NOT NULL,
    internal_offset INTEGER DEFAULT 0 NOT NULL,
    size INTEGER,
    header_id INTEGER,
    blob_id INTEGER,
    email_id TEXT DEFAULT '' NOT NULL,
    created_seq INTEGER DEFAULT 0 NOT NULL,
    seq INTEGER DEFAULT 0 NOT NULL,
    removed_at INTEGER DEFAULT 0 NOT NULL,
    PRIMARY KEY ("key"),
    FOREIGN KEY(account_id) REFERENCES accounts (id),
    FOREIGN KEY(header_id) REFERENCES headers (id),
    FOREIGN KEY(blob_id) REFERENCES blobs (id)
);
CREATE INDEX tombstones_by_age ON tombstones (removed_at);
CREATE INDEX tombstones_by_blob ON tombstones (blob_id);
CREATE INDEX tombstones_by_folder ON tombstones (folder_id, epoch, uid);
CREATE INDEX tombstones_by_header ON tombstones (header_id);
CREATE INDEX tombstones_by_seq ON tombstones (seq);

CREATE TABLE folder_tombstones (
    id INTEGER NOT NULL,
    account_id INTEGER NOT NULL,
    name BLOB DEFAULT (x'') NOT NULL,
    created_seq INTEGER DEFAULT 0 NOT NULL,
    seq INTEGER DEFAULT 0 NOT NULL,
    removed_at INTEGER DEFAULT 0 NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(account_id) REFERENCES accounts (id)
);
CREATE INDEX folder_tombstones_by_seq ON folder_tombstones (seq);

CREATE TABLE troubles (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL,
    folder_id INTEGER NOT NULL,
    epoch INTEGER DEFAULT 0 NOT NULL,
    uid INTEGER DEFAULT 0 NOT NULL,
    kind TEXT DEFAULT 'missing' NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    tries INTEGER DEFAULT 0 NOT NULL,
    next_try_at INTEGER DEFAULT 0 NOT NULL,
    FOREIGN KEY(account_id) REFERENCES accounts (id),
    FOREIGN KEY(folder_id) REFERENCES folders (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX troubles_by_uid ON troubles (folder_id, epoch, uid);

CREATE TABLE runs (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL,
    "trigger" TEXT DEFAULT '' NOT NULL,
    flags INTEGER DEFAULT 0 NOT NULL,
    owner TEXT DEFAULT '' NOT NULL,
    started_at INTEGER DEFAULT 0 NOT NULL,
    expires_at INTEGER DEFAULT 0 NOT NULL,
    lease_seconds INTEGER DEFAULT 60 NOT NULL,
    finished_at INTEGER,
    status TEXT DEFAULT '' NOT NULL,
    counts TEXT DEFAULT '{}' NOT NULL,
    errors TEXT DEFAULT '[]' NOT NULL,
    FOREIGN KEY(account_id) REFERENCES accounts (id)
);
CREATE INDEX runs_by_account ON runs (account_id, id);
CREATE UNIQUE INDEX runs_open ON runs (account_id) WHERE finished_at IS NULL;

INSERT INTO state (id) VALUES (1);
