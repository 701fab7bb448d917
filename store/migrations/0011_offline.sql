-- 0011: Send/Receive All offline, and whether one works offline.
-- The meaning of every column stands in store/tables/schedules.py; a test proves that both give the same schema.
-- Released: never edit, add another one instead.

ALTER TABLE sync_groups ADD COLUMN on_f9_offline INTEGER DEFAULT 1 NOT NULL;
ALTER TABLE manager ADD COLUMN offline INTEGER DEFAULT 0 NOT NULL;
