-- What registering through meshd needs: writes under way, scan roots of single projects, and who may reach whom.

-- 1 if the root is one project that was registered outside of every other root: it holds only itself, and it is looked
-- under whatever the configuration says.
ALTER TABLE roots ADD COLUMN alone INTEGER NOT NULL DEFAULT 0;

CREATE TABLE IF NOT EXISTS operations (
    -- The project whose manifest is being written or deleted. Should that be cut short, what it left beside the manifest
    -- is removed at the next start.
    project_path TEXT PRIMARY KEY NOT NULL,
    -- `write` or `delete`.
    kind TEXT NOT NULL,
    -- Whose manifest is written for the first time; NULL otherwise. If it is not there in the end, it was taken back.
    agent_id TEXT,
    -- Since when.
    since TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS access_pairs (
    -- The namespace whose agents send.
    from_namespace TEXT NOT NULL,
    -- The namespace whose agents are sent to.
    to_namespace TEXT NOT NULL,
    -- `allow` or `deny`.
    action TEXT NOT NULL,
    -- When a person said so.
    created_at TEXT NOT NULL,
    PRIMARY KEY (from_namespace, to_namespace)
) WITHOUT ROWID;
