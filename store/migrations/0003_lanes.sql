-- 0003: two runs of one account at once, each in a lane of its own, and servers that take one connection only.
-- Released: never edit, add another one instead.

ALTER TABLE accounts ADD COLUMN one_connection TEXT DEFAULT '' NOT NULL;

ALTER TABLE runs ADD COLUMN lane TEXT DEFAULT 'bulk' NOT NULL;
DROP INDEX runs_open;
CREATE UNIQUE INDEX runs_open ON runs (account_id, lane) WHERE finished_at IS NULL;

ALTER TABLE partials ADD COLUMN run_id INTEGER DEFAULT 0 NOT NULL;
DROP INDEX partials_by_uid;
CREATE UNIQUE INDEX partials_by_uid ON partials (folder_id, epoch, uid, run_id);
