-- What meshd needs to reconcile: the rest of the manifest, what was seen of files and roots, grace clocks, problems, events.
-- Devices and inodes are unsigned 64-bit numbers, stored as the signed number with the same bits.

-- Every key of the manifest that has no column of its own: a JSON object.
ALTER TABLE agents ADD COLUMN rest_json TEXT NOT NULL DEFAULT '{}';

-- When the agent became unreachable; NULL while it is reachable. Marking it again never moves this.
ALTER TABLE agents ADD COLUMN unreachable_since TEXT;

-- Why it is unreachable: `manifest_gone`, `other_manifest`, `contested`, `root_offline` or `out_of_scope`.
ALTER TABLE agents ADD COLUMN unreachable_reason TEXT;

-- What older rows know of keys that are in `rest_json` from now on; the first pass writes what the manifest says.
UPDATE agents SET rest_json =
    CASE WHEN approver IS NULL OR approver = ''
         THEN json_object('registeredAt', registered_at, 'registeredBy', 'unknown')
         ELSE json_object('registeredAt', registered_at) END
    WHERE rest_json = '{}';

-- Without a grace clock of its own an agent starts its grace period anew: nothing is removed on the word of an older clock.
UPDATE agents SET unreachable_since = updated_at, unreachable_reason = 'manifest_gone'
    WHERE status = 'unreachable' AND unreachable_since IS NULL;

CREATE TABLE IF NOT EXISTS observations (
    -- Whose manifest.
    agent_id TEXT PRIMARY KEY NOT NULL REFERENCES agents (id) ON DELETE CASCADE ON UPDATE CASCADE,
    -- The 16-byte digest of the agent's columns as they were written. If they differ now, somebody edited the row.
    digest BLOB NOT NULL,
    -- The manifest's device; NULL, with the five below, where the file was not read.
    device INTEGER,
    -- The manifest's inode.
    inode INTEGER,
    -- The manifest's size in bytes.
    size INTEGER,
    -- When its content last changed: nanoseconds since 1970.
    modified_ns INTEGER,
    -- When its inode last changed: nanoseconds since 1970.
    changed_ns INTEGER,
    -- When this fingerprint was taken: nanoseconds since 1970.
    looked_ns INTEGER,
    -- The project directory's device; NULL, with the two below, where it is not known.
    home_device INTEGER,
    -- The project directory's inode.
    home_inode INTEGER,
    -- When the project directory was made: nanoseconds since 1970, zero where the file system does not say.
    home_born_ns INTEGER
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS grace_clocks (
    -- Whose grace period. An unreachable agent without a row here has spent nothing, and its clock stands still.
    agent_id TEXT PRIMARY KEY NOT NULL REFERENCES agents (id) ON DELETE CASCADE ON UPDATE CASCADE,
    -- How much had run up when the clock was last started or stopped, in milliseconds.
    spent_ms INTEGER NOT NULL,
    -- Since when it runs by the wall clock, milliseconds since 1970; NULL, with the two below, while it stands still.
    running_since_wall_ms INTEGER,
    -- Since when it runs by the boot clock, milliseconds.
    running_since_boot_ms INTEGER,
    -- The boot that the boot clock counts from: the kernel's random id.
    boot_id TEXT
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS roots (
    -- The scan root.
    path TEXT PRIMARY KEY NOT NULL,
    -- Its place among the configured ones.
    ordinal INTEGER NOT NULL DEFAULT 0,
    -- The device of the directory that it was when it was last online; NULL, with the two below, if it never was.
    device INTEGER,
    -- Its inode.
    inode INTEGER,
    -- When it was made: nanoseconds since 1970, zero where the file system does not say.
    born_ns INTEGER,
    -- `online`, `degraded` or `offline`; NULL before the first pass.
    state TEXT,
    -- A sentence that says why it is not online; empty if it is.
    why TEXT NOT NULL DEFAULT '',
    -- Since when it is in this state; NULL before the first pass.
    since TEXT,
    -- 1 if it is to be looked under; 0 if only its identity is remembered.
    configured INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS problems (
    -- Where.
    project_path TEXT NOT NULL,
    -- `unreadable`, `duplicate_id` or `contested`.
    kind TEXT NOT NULL,
    -- Whose, where that is known. Not a reference: a manifest that is refused has an id and no row.
    agent_id TEXT,
    -- A sentence that says what was found.
    detail TEXT NOT NULL,
    -- Since when.
    since TEXT NOT NULL,
    PRIMARY KEY (project_path, kind)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS events (
    -- The event's number, without gaps.
    seq INTEGER PRIMARY KEY NOT NULL,
    -- When.
    at TEXT NOT NULL,
    -- What happened, as `agent.registered`.
    name TEXT NOT NULL,
    -- To whom, where it is about one agent.
    agent_id TEXT,
    -- The project it is about, if any.
    project_path TEXT,
    -- The scan root it is about, if any.
    scan_root TEXT,
    -- What else there is to say: a JSON object.
    detail_json TEXT NOT NULL DEFAULT '{}'
);
