-- What is mounted below scan roots, and the file system that each root is on: without these a drive that is not mounted looks
-- like one whose agents were deleted.

CREATE TABLE IF NOT EXISTS mounts (
    -- A directory strictly below a scan root at which a file system was mounted while agents were found below it.
    path TEXT PRIMARY KEY NOT NULL
) WITHOUT ROWID;

-- The type of the file system that the root was on when it was last online, as `statfs` numbers it; NULL where it is not known.
ALTER TABLE roots ADD COLUMN file_system INTEGER;
