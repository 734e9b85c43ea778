-- relay.db, version 1: who is reached where, and who may send to whom. All that meshd made in it can be made anew.

CREATE TABLE endpoints (
    -- Where: tokens with dots between them. It names the mailbox's directory, too.
    subject TEXT PRIMARY KEY NOT NULL,
    -- Whose it is: what `meshd send` takes.
    agent_id TEXT NOT NULL,
    -- Who made it. `meshd` changes and removes its own rows, and no others.
    made_by TEXT NOT NULL,
    -- When: ISO 8601 in UTC.
    created_at TEXT NOT NULL
) WITHOUT ROWID;

-- Finds an agent's endpoint, and lists meshd's in the order of their agents without touching the table.
CREATE INDEX endpoints_by_agent ON endpoints (agent_id, made_by);

CREATE TABLE rules (
    -- The senders: like a subject, but `*` is any one token, and `>` at the end is all that follow.
    from_pattern TEXT NOT NULL,
    -- The receivers.
    to_pattern TEXT NOT NULL,
    -- `allow` or `deny`.
    action TEXT NOT NULL,
    -- The highest that matches decides; `deny` before `allow` where priorities are equal.
    priority INTEGER NOT NULL,
    -- Who made it. The same rule may be there once for each.
    made_by TEXT NOT NULL,
    -- When: ISO 8601 in UTC.
    created_at TEXT NOT NULL,
    PRIMARY KEY (from_pattern, to_pattern, action, priority, made_by)
) WITHOUT ROWID;
