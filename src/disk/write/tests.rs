//! Writing and deleting on a real file system, by each of the ways that a file system may force.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::delete::delete_by;
use super::*;
use crate::agent::AgentId;
use crate::disk::DORK;

const WAYS: [Way; 3] = [Way::Newest, Way::Links, Way::Oldest];

/// A project in a directory of its own.
struct Project(TempDir);

impl Project {
    fn bare() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with(content: &[u8]) -> Self {
        let project = Self::bare();
        fs::create_dir(project.path().join(DORK)).unwrap();
        project.save(FILE, content);
        project
    }

    fn path(&self) -> PathBuf {
        self.0.path().canonicalize().unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(DORK).join(name)
    }

    fn save(&self, name: &str, content: &[u8]) {
        fs::write(self.file(name), content).unwrap();
    }

    fn manifest(&self) -> Option<Vec<u8>> {
        fs::read(self.file(FILE)).ok()
    }

    fn standing(&self) -> Standing {
        standing(&self.path()).unwrap()
    }

    /// What is in the project, and in its `.dork`.
    fn names(&self) -> Vec<String> {
        let list = |directory: &Path| -> Vec<String> {
            fs::read_dir(directory)
                .into_iter()
                .flatten()
                .map(|e| e.unwrap().file_name().into_string().unwrap())
                .collect()
        };
        let mut names = list(&self.path());
        names.extend(list(&self.path().join(DORK)));
        names.sort();
        names
    }
}

fn manifest(id: &str) -> Vec<u8> {
    let text = format!(
        r#"{{"id":"{id}","name":"n","runtime":"codex","registeredAt":"2026-01-01T00:00:00Z","registeredBy":"me"}}"#
    );
    text.into_bytes()
}

fn id(text: &str) -> AgentId {
    text.parse().unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_fresh_manifest_is_written_and_nothing_lies_beside_it() {
    for way in WAYS {
        let project = Project::bare();
        let placed = place_by(way, &project.path(), b"new", &Standing::Nothing).unwrap();
        assert_eq!(project.names(), [".dork", "agent.json"], "{way:?}");
        placed.keep().unwrap();
        assert_eq!(project.manifest().unwrap(), b"new");
        assert_eq!(project.names(), [".dork", "agent.json"], "{way:?}");
        let umask = 0o777 & !mode(&project.0.path().join(DORK));
        assert_eq!(mode(&project.file(FILE)), 0o644 & !umask, "{way:?}");
    }
}

#[test]
fn a_fresh_manifest_that_is_taken_back_leaves_the_project_as_it_was() {
    for way in WAYS {
        let project = Project::bare();
        place_by(way, &project.path(), b"new", &Standing::Nothing).unwrap().take_back().unwrap();
        assert!(project.names().is_empty(), "{way:?}");
        // A directory that was there, or that somebody has put something in, stays.
        fs::create_dir(project.path().join(DORK)).unwrap();
        place_by(way, &project.path(), b"new", &Standing::Nothing).unwrap().take_back().unwrap();
        assert_eq!(project.names(), [".dork"], "{way:?}");
        fs::remove_dir(project.path().join(DORK)).unwrap();
        let placed = place_by(way, &project.path(), b"new", &Standing::Nothing).unwrap();
        project.save("notes", b"");
        placed.take_back().unwrap();
        assert_eq!(project.names(), [".dork", "notes"], "{way:?}");
    }
}

#[test]
fn a_manifest_that_is_there_is_never_taken_for_nothing() {
    for way in WAYS {
        let project = Project::with(b"theirs");
        let refused = place_by(way, &project.path(), b"new", &Standing::Nothing).unwrap_err();
        assert!(matches!(refused, WriteError::Exists(_)), "{refused}");
        assert_eq!(project.manifest().unwrap(), b"theirs");
        assert_eq!(project.names(), [".dork", "agent.json"]);
        // Nor is one that comes between the look and the write.
        let site = Site::open(&project.path(), way).unwrap().unwrap();
        if way == Way::Newest {
            assert_eq!(site.place_unnamed(b"new").unwrap(), Some(Moved::Taken));
        }
        site.write_temporary(b"new", None).unwrap();
        assert_eq!(site.move_in().unwrap(), Moved::Taken, "{way:?}");
        assert_eq!(project.manifest().unwrap(), b"theirs");
    }
}

#[test]
fn whatever_is_in_the_place_of_a_manifest_counts_as_one() {
    type Put = fn(&Path);
    let put: [Put; 4] = [
        |path| symlink("nowhere", path).unwrap(),
        |path| fs::create_dir(path).unwrap(),
        |path| rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, 0o644.into(), 0).unwrap(),
        |path| fs::write(path, vec![b' '; crate::agent::manifest::MAX_BYTES + 1]).unwrap(),
    ];
    for put in put {
        let project = Project::bare();
        fs::create_dir(project.path().join(DORK)).unwrap();
        put(&project.file(FILE));
        let found = standing(&project.path()).unwrap_err();
        assert!(matches!(found, WriteError::NotAManifest { .. }), "{found}");
        let refused = place(&project.path(), b"new", &Standing::Nothing).unwrap_err();
        assert!(matches!(refused, WriteError::Exists(_)), "{refused}");
        let refused = delete(&project.path(), &id("a")).unwrap_err();
        assert!(matches!(refused, WriteError::NotAManifest { .. }), "{refused}");
        assert_eq!(project.names(), [".dork", "agent.json"]);
    }
}

#[test]
fn a_manifest_is_replaced_with_its_mode_and_put_back_as_the_very_file_it_was() {
    for way in WAYS {
        let project = Project::with(b"old");
        fs::set_permissions(project.file(FILE), Permissions::from_mode(0o4640)).unwrap();
        let before = project.standing();
        let inode = fs::metadata(project.file(FILE)).unwrap().ino();
        let placed = place_by(way, &project.path(), b"new", &before).unwrap();
        assert_eq!(project.manifest().unwrap(), b"new", "{way:?}");
        assert_eq!(mode(&project.file(FILE)), 0o640, "{way:?}");
        placed.take_back().unwrap();
        assert_eq!(project.manifest().unwrap(), b"old", "{way:?}");
        assert_eq!(mode(&project.file(FILE)) & 0o777, 0o640);
        assert_eq!(project.names(), [".dork", "agent.json"], "{way:?}");
        if way == Way::Newest {
            assert_eq!(fs::metadata(project.file(FILE)).unwrap().ino(), inode);
            assert_eq!(mode(&project.file(FILE)), 0o4640);
        }
        place_by(way, &project.path(), b"new", &project.standing()).unwrap().keep().unwrap();
        assert_eq!(project.manifest().unwrap(), b"new", "{way:?}");
        assert_eq!(project.names(), [".dork", "agent.json"], "{way:?}");
    }
}

#[test]
fn a_manifest_that_changed_meanwhile_is_not_replaced() {
    for way in WAYS {
        let project = Project::with(b"old");
        let before = project.standing();
        project.save(FILE, b"theirs");
        let refused = place_by(way, &project.path(), b"new", &before).unwrap_err();
        assert!(matches!(refused, WriteError::Changed(_)), "{refused}");
        fs::remove_file(project.file(FILE)).unwrap();
        fs::create_dir(project.file(FILE)).unwrap();
        let refused = place_by(way, &project.path(), b"new", &before).unwrap_err();
        assert!(matches!(refused, WriteError::Changed(_)), "{refused}");
        fs::remove_dir(project.file(FILE)).unwrap();
        let refused = place_by(way, &project.path(), b"new", &before).unwrap_err();
        assert!(matches!(refused, WriteError::Changed(_)), "{refused}");
        assert_eq!(project.names(), [".dork"], "{way:?}");
        fs::remove_dir(project.path().join(DORK)).unwrap();
        let refused = place_by(way, &project.path(), b"new", &before).unwrap_err();
        assert!(matches!(refused, WriteError::Changed(_)), "{refused}");
        assert!(project.names().is_empty(), "{way:?}");
    }
}

#[test]
fn what_was_saved_over_a_new_manifest_stays_when_that_is_taken_back() {
    for way in WAYS {
        for before in [None, Some(b"old")] {
            let project = before.map_or_else(Project::bare, |old| Project::with(old));
            let placed = place_by(way, &project.path(), b"new", &project.standing()).unwrap();
            project.save(FILE, b"theirs");
            let refused = placed.take_back().unwrap_err();
            assert!(matches!(refused, WriteError::NotOurs(_)), "{refused}");
            assert_eq!(project.manifest().unwrap(), b"theirs", "{way:?}");
            assert_eq!(project.names(), [".dork", "agent.json"], "{way:?}");
        }
    }
}

#[test]
fn what_was_put_in_the_place_of_a_new_manifest_stays_when_that_is_taken_back() {
    for way in WAYS {
        let project = Project::with(b"old");
        let placed = place_by(way, &project.path(), b"new", &project.standing()).unwrap();
        fs::remove_file(project.file(FILE)).unwrap();
        fs::create_dir(project.file(FILE)).unwrap();
        assert!(matches!(placed.take_back().unwrap_err(), WriteError::NotOurs(_)), "{way:?}");
        assert!(project.file(FILE).is_dir());
        assert_eq!(project.names(), [".dork", "agent.json"], "{way:?}");
        // Somebody who deleted the new one has not asked for the old one.
        let project = Project::with(b"old");
        let placed = place_by(way, &project.path(), b"new", &project.standing()).unwrap();
        fs::remove_file(project.file(FILE)).unwrap();
        assert!(matches!(placed.take_back().unwrap_err(), WriteError::NotOurs(_)), "{way:?}");
        assert_eq!(project.names(), [".dork"], "{way:?}");
        // And a fresh one that is gone is as it was to be.
        let project = Project::bare();
        let placed = place_by(way, &project.path(), b"new", &Standing::Nothing).unwrap();
        fs::remove_file(project.file(FILE)).unwrap();
        placed.take_back().unwrap();
        assert!(project.names().is_empty(), "{way:?}");
    }
}

#[test]
fn an_editor_that_still_had_the_old_manifest_open_loses_nothing() {
    let project = Project::with(b"old");
    let placed = place(&project.path(), b"new", &project.standing()).unwrap();
    project.save(TEMPORARY, b"saved late");
    assert!(matches!(placed.keep().unwrap_err(), WriteError::Changed(_)));
    assert_eq!(project.manifest().unwrap(), b"saved late");
    assert_eq!(project.names(), [".dork", "agent.json"]);
    // Unless somebody saved over the new one since: that was later.
    let placed = place(&project.path(), b"new", &project.standing()).unwrap();
    project.save(TEMPORARY, b"saved late");
    project.save(FILE, b"saved last");
    placed.keep().unwrap();
    assert_eq!(project.manifest().unwrap(), b"saved last");
    assert_eq!(project.names(), [".dork", "agent.json"]);
}

#[test]
fn what_comes_out_of_an_exchange_unexpectedly_goes_back() {
    let project = Project::with(b"theirs");
    let site = Site::open(&project.path(), Way::Newest).unwrap().unwrap();
    site.write_temporary(b"new", None).unwrap();
    site.exchange().unwrap().unwrap();
    assert_eq!(site.swap_back(b"new").unwrap(), Swapped::Ours);
    assert_eq!(project.manifest().unwrap(), b"theirs");
    // Somebody saved once more in the moment between.
    site.write_temporary(b"new", None).unwrap();
    site.exchange().unwrap().unwrap();
    project.save(FILE, b"theirs again");
    assert_eq!(site.swap_back(b"new").unwrap(), Swapped::Newer);
    assert_eq!(project.manifest().unwrap(), b"theirs again");
    assert_eq!(project.names(), [".dork", "agent.json"]);
}

#[test]
fn a_manifest_is_deleted_only_while_it_carries_the_id() {
    for way in WAYS {
        let project = Project::with(&manifest("a"));
        let refused = delete_by(way, &project.path(), &id("b")).unwrap_err();
        assert!(matches!(&refused, WriteError::OtherId { found, .. } if *found == id("a")), "{refused}");
        assert_eq!(project.manifest().unwrap(), manifest("a"));
        let deleted = delete_by(way, &project.path(), &id("a")).unwrap();
        assert_eq!(project.names(), [TEMPORARY, ".dork"], "{way:?}");
        deleted.take_back().unwrap();
        assert_eq!(project.manifest().unwrap(), manifest("a"));
        assert_eq!(project.names(), [".dork", "agent.json"], "{way:?}");
        delete_by(way, &project.path(), &id("a")).unwrap().keep().unwrap();
        assert_eq!(project.names(), [".dork"], "{way:?}");
        let missing = delete_by(way, &project.path(), &id("a")).unwrap_err();
        assert!(matches!(missing, WriteError::Missing(_)), "{missing}");
        project.save(FILE, b"{");
        let refused = delete_by(way, &project.path(), &id("a")).unwrap_err();
        assert!(matches!(refused, WriteError::NotAManifest { .. }), "{refused}");
        assert_eq!(project.names(), [".dork", "agent.json"], "{way:?}");
    }
}

#[test]
fn another_agents_manifest_that_comes_while_one_is_deleted_goes_back() {
    for way in WAYS {
        let project = Project::with(&manifest("a"));
        let site = Site::open(&project.path(), way).unwrap().unwrap();
        let looks = std::cell::Cell::new(0);
        let check = |_: &Content| {
            looks.set(looks.get() + 1);
            // The first look finds what is expected, the second what came meanwhile.
            if looks.get() == 1 { Ok(()) } else { Err(WriteError::NotOurs(PathBuf::new())) }
        };
        assert!(matches!(site.take_out(check), Err(WriteError::NotOurs(_))));
        assert_eq!(project.names(), [".dork", "agent.json"], "{way:?}");
    }
}

#[test]
fn a_new_manifest_is_not_overwritten_by_one_that_is_brought_back() {
    for way in WAYS {
        let project = Project::with(&manifest("a"));
        let deleted = delete_by(way, &project.path(), &id("a")).unwrap();
        project.save(FILE, b"theirs");
        assert!(matches!(deleted.take_back().unwrap_err(), WriteError::NotOurs(_)), "{way:?}");
        assert_eq!(project.manifest().unwrap(), b"theirs");
        assert_eq!(project.names(), [".dork", "agent.json"], "{way:?}");
    }
}

#[test]
fn what_a_kill_leaves_is_cleared_and_a_manifest_stays() {
    for finish in [Finish::Undo, Finish::Complete] {
        for left in [&manifest("a")[..], b"", b"{\"id\""] {
            let project = Project::with(b"there");
            project.save(TEMPORARY, left);
            assert_eq!(clear_temporary(&project.path(), finish).unwrap(), Cleared::Removed);
            assert_eq!(project.manifest().unwrap(), b"there");
            assert_eq!(project.names(), [".dork", "agent.json"]);
            assert_eq!(clear_temporary(&project.path(), finish).unwrap(), Cleared::Nothing);
        }
    }
    let bare = Project::bare();
    assert_eq!(clear_temporary(&bare.path(), Finish::Undo).unwrap(), Cleared::Nothing);
    assert_eq!(clear_temporary(&bare.path().join("none"), Finish::Undo).unwrap(), Cleared::Nothing);
}

#[test]
fn a_deletion_that_was_killed_is_undone_or_completed_as_asked() {
    for way in WAYS {
        for (finish, cleared) in [(Finish::Undo, Cleared::PutBack), (Finish::Complete, Cleared::Removed)] {
            let project = Project::with(&manifest("a"));
            drop(delete_by(way, &project.path(), &id("a")).unwrap());
            assert_eq!(clear_temporary(&project.path(), finish).unwrap(), cleared);
            assert_eq!(project.manifest().is_some(), finish == Finish::Undo);
        }
    }
    // Half a manifest is nobody's: it was being written for the first time.
    let project = Project::with(b"");
    fs::rename(project.file(FILE), project.file(TEMPORARY)).unwrap();
    assert_eq!(clear_temporary(&project.path(), Finish::Undo).unwrap(), Cleared::Removed);
    assert_eq!(project.names(), [".dork"]);
}

#[test]
fn what_a_kill_left_is_in_nobodys_way() {
    for way in WAYS {
        let project = Project::with(b"old");
        project.save(TEMPORARY, b"left");
        place_by(way, &project.path(), b"new", &project.standing()).unwrap().keep().unwrap();
        assert_eq!(project.names(), [".dork", "agent.json"], "{way:?}");
        // One that nobody noted may be anybody's, and never becomes the manifest by itself.
        project.save(TEMPORARY, &manifest("planted"));
        fs::remove_file(project.file(FILE)).unwrap();
        place_by(way, &project.path(), &manifest("a"), &Standing::Nothing).unwrap().keep().unwrap();
        assert_eq!(project.manifest().unwrap(), manifest("a"));
        project.save(TEMPORARY, b"left");
        delete_by(way, &project.path(), &id("a")).unwrap().keep().unwrap();
        assert_eq!(project.names(), [".dork"], "{way:?}");
    }
}

#[test]
fn a_temporary_that_meshd_never_made_is_left_alone() {
    type Put = fn(&Path);
    let put: [Put; 2] = [|path| fs::create_dir(path).unwrap(), |path| symlink("/etc/passwd", path).unwrap()];
    for put in put {
        let project = Project::with(b"old");
        put(&project.file(TEMPORARY));
        for refused in [
            clear_temporary(&project.path(), Finish::Complete).map(drop).unwrap_err(),
            place(&project.path(), b"new", &project.standing()).map(drop).unwrap_err(),
            delete(&project.path(), &id("a")).map(drop).unwrap_err(),
        ] {
            assert!(matches!(refused, WriteError::NotAManifest { .. }), "{refused}");
        }
        assert_eq!(project.manifest().unwrap(), b"old");
        assert_eq!(project.names(), [TEMPORARY, ".dork", "agent.json"]);
    }
}

#[test]
fn only_one_process_at_a_time_writes_a_manifest() {
    let project = Project::with(b"old");
    let placed = place(&project.path(), b"new", &project.standing()).unwrap();
    let busy = [
        place(&project.path(), b"newer", &project.standing()).map(drop).unwrap_err(),
        delete(&project.path(), &id("a")).map(drop).unwrap_err(),
        clear_temporary(&project.path(), Finish::Complete).map(drop).unwrap_err(),
    ];
    assert!(busy.iter().all(|error| matches!(error, WriteError::Busy(_))), "{busy:?}");
    placed.take_back().unwrap();
    assert_eq!(project.manifest().unwrap(), b"old");
}

#[test]
fn of_many_who_write_a_fresh_manifest_at_once_one_wins() {
    for way in WAYS {
        let project = Project::bare();
        let path = project.path();
        let outcomes: Vec<Result<(), WriteError>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8_u8)
                .map(|n| {
                    let path = &path;
                    scope.spawn(move || {
                        loop {
                            match place_by(way, path, &[n], &Standing::Nothing) {
                                Err(WriteError::Busy(_)) => std::thread::yield_now(),
                                placed => return placed.and_then(Placed::keep),
                            }
                        }
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{way:?}: {outcomes:?}");
        assert_eq!(project.names(), [".dork", "agent.json"], "{way:?}");
    }
}

#[test]
fn neither_a_project_nor_its_dork_is_reached_through_a_link() {
    let project = Project::with(&manifest("a"));
    let elsewhere = tempfile::tempdir().unwrap();
    let elsewhere = elsewhere.path().canonicalize().unwrap();
    symlink(project.path(), elsewhere.join("project")).unwrap();
    fs::create_dir(elsewhere.join("other")).unwrap();
    symlink(project.path().join(DORK), elsewhere.join("other").join(DORK)).unwrap();
    for path in [elsewhere.join("project"), elsewhere.join("other")] {
        for refused in [
            standing(&path).map(drop).unwrap_err(),
            place(&path, b"new", &Standing::Nothing).map(drop).unwrap_err(),
            place(&path, b"new", &project.standing()).map(drop).unwrap_err(),
            delete(&path, &id("a")).map(drop).unwrap_err(),
            clear_temporary(&path, Finish::Complete).map(drop).unwrap_err(),
        ] {
            assert!(matches!(refused, WriteError::NotADirectory(_)), "{refused}");
        }
    }
    assert_eq!(project.manifest().unwrap(), manifest("a"));
}

#[test]
fn a_project_is_never_made_and_a_file_in_the_place_of_a_directory_is_said() {
    let base = tempfile::tempdir().unwrap();
    let base = base.path().canonicalize().unwrap();
    let missing = place(&base.join("none"), b"new", &Standing::Nothing).map(drop).unwrap_err();
    assert!(matches!(missing, WriteError::Missing(_)), "{missing}");
    fs::write(base.join(DORK), "").unwrap();
    fs::write(base.join("file"), "").unwrap();
    for path in [base.clone(), base.join("file"), base.join("file/below")] {
        let refused = place(&path, b"new", &Standing::Nothing).map(drop).unwrap_err();
        assert!(matches!(refused, WriteError::NotADirectory(_)), "{refused}");
    }
    let large = vec![b' '; crate::agent::manifest::MAX_BYTES + 1];
    let refused = place(&base, &large, &Standing::Nothing).map(drop).unwrap_err();
    assert!(matches!(refused, WriteError::NotAManifest { .. }), "{refused}");
}

#[test]
fn an_old_manifest_that_somebody_removed_meanwhile_is_put_back_all_the_same() {
    let project = Project::with(b"old");
    let placed = place(&project.path(), b"new", &project.standing()).unwrap();
    fs::remove_file(project.file(TEMPORARY)).unwrap();
    placed.take_back().unwrap();
    assert_eq!(project.manifest().unwrap(), b"old");
    assert_eq!(project.names(), [".dork", "agent.json"]);
}

#[test]
fn a_failure_that_cannot_be_undone_says_both_and_what_is_left() {
    let project = Project::with(&manifest("a"));
    let placed = place(&project.path(), b"new", &project.standing()).unwrap();
    // In the way of putting the old one back: the temporary name is a directory by now.
    fs::remove_file(project.file(TEMPORARY)).unwrap();
    fs::create_dir(project.file(TEMPORARY)).unwrap();
    fs::write(project.file(TEMPORARY).join("x"), "").unwrap();
    let io = WriteError::io("sync", &project.path(), rustix::io::Errno::IO);
    let left = placed.unless_failed(Err(io)).map(drop).unwrap_err();
    assert!(matches!(left, WriteError::Left { .. }), "{left:?}");
    let said = left.to_string();
    for part in ["cannot sync", "undoing it failed too", "`agent.json` is there", "`.agent.json.meshd` is there"] {
        assert!(said.contains(part), "{said}");
    }
}
