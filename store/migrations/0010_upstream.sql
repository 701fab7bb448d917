-- 0010: where an account's mail came from when it was last synchronized as a whole, and what was wanted of it.
-- The meaning of every column stands in store/tables; a test proves that both give the same schema.
-- Released: never edit, add another one instead.

ALTER TABLE accounts ADD COLUMN upstream TEXT DEFAULT '' NOT NULL;
ALTER TABLE accounts ADD COLUMN criteria TEXT DEFAULT '' NOT NULL;
