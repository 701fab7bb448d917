-- 0002: octets that are here already are shared with messages that are, or look, the same.
-- The meaning of every column stands in store/tables/; a test proves that both give the same schema.
-- Partial indexes: where no server tells EMAILID and nothing is assumed, they stay empty and cost nothing.
-- Released: never edit, add 0003 instead.

ALTER TABLE messages ADD COLUMN likeness INTEGER DEFAULT 0 NOT NULL;
ALTER TABLE tombstones ADD COLUMN likeness INTEGER DEFAULT 0 NOT NULL;

CREATE INDEX messages_assumed ON messages (folder_id, uid) WHERE likeness = 1;
CREATE INDEX messages_by_email_id ON messages (account_id, email_id) WHERE email_id <> '';
CREATE INDEX tombstones_by_date ON tombstones (account_id, internal_at);
CREATE INDEX tombstones_by_email_id ON tombstones (account_id, email_id) WHERE email_id <> '';
