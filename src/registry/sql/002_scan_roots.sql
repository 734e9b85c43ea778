-- Where an agent was found, and how it behaves. From here on `status` may be `unreachable`.

-- The deepest configured scan root that the project is under; empty where it is not known.
ALTER TABLE agents ADD COLUMN scan_root TEXT NOT NULL DEFAULT '';

-- The manifest's behavior: a JSON object.
ALTER TABLE agents ADD COLUMN behavior_json TEXT NOT NULL DEFAULT '{"responseMode":"always"}';

-- The manifest's budget: a JSON object.
ALTER TABLE agents ADD COLUMN budget_json TEXT NOT NULL DEFAULT '{"maxHopsPerMessage":5,"maxCallsPerHour":100}';
