-- The base table, as it was before meshd kept it. `IF NOT EXISTS`: a file from before schemas had numbers has it already.

CREATE TABLE IF NOT EXISTS agents (
    -- The manifest's id.
    id TEXT PRIMARY KEY NOT NULL,
    -- The manifest's name.
    name TEXT NOT NULL,
    -- The manifest's displayName.
    display_name TEXT,
    -- The manifest's runtime.
    runtime TEXT NOT NULL,
    -- The directory that holds `.dork/`, absolute. A path that is not UTF-8 is a BLOB, here as in every column that holds one.
    project_path TEXT NOT NULL UNIQUE,
    -- The group that the agent belongs to.
    namespace TEXT NOT NULL DEFAULT 'default',
    -- The manifest's capabilities: a JSON list of strings.
    capabilities_json TEXT NOT NULL DEFAULT '[]',
    -- Not used any more; kept as it is found.
    entrypoint TEXT,
    -- Not used any more; kept as it is found.
    version TEXT,
    -- The manifest's description.
    description TEXT,
    -- The manifest's registeredBy.
    approver TEXT,
    -- `active`, `inactive` or `unreachable`.
    status TEXT NOT NULL DEFAULT 'active',
    -- When the agent was last seen to come or to come back: ISO 8601 in UTC, like every time in this table.
    last_seen_at TEXT,
    -- What it was seen to do then.
    last_seen_event TEXT,
    -- When it was registered.
    registered_at TEXT NOT NULL,
    -- When this row last changed.
    updated_at TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS agent_denials (
    -- A random token.
    id TEXT PRIMARY KEY NOT NULL,
    -- The directory at and below which nothing is registered.
    path TEXT NOT NULL UNIQUE,
    -- Why, in a person's words.
    reason TEXT,
    -- Who denied it.
    denier TEXT,
    -- When that was.
    created_at TEXT NOT NULL
);
