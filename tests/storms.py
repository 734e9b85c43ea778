#!/usr/bin/env python3
"""storms.py: more at once than a person does, with the real binary: none of it is lost, and nothing waits for it.

  tests/storms.py [PART…] [--trees N] [--files N] [--seconds S] [--directories N] [--modules N] [--meshd FILE]
                  [--keep]

  trees     new trees, made by two processes as fast as they can: none is missed
  overflow  a daemon that stands still while the kernel's queue runs over: what was lost is looked at
  stopped   a daemon that stands still for some seconds: a sweep at once
  removal   rm -rf of a large project and of a large node_modules: an edit meanwhile commits within 100 ms

At full size: --trees 10000 --directories 5000 --modules 50000 --seconds 60; without flags it is a tenth of that. Times
are told and not asserted, but for the 100 ms, for which each removal has three tries. Exit status: 0 all hold, 1 not.
"""
import argparse
import itertools
import json
import os
import sqlite3
import subprocess
import sys
import time

from live import Failed, Meshd, run_parts, until
from show import by_hand, expect_nothing, finish, load, make_tree, ms, new_manifest, save, told, write

# How often the registry is read while a commit is waited for, in seconds: what is measured is in milliseconds.
READ_AGAIN = 0.001

# A requirement: how long an edit may take while something large is removed, in seconds.
REMOVAL_DEADLINE = 0.1


class Commits:
    """The registry as it is committed, read beside the daemon and without asking it."""

    def __init__(self, meshd):
        path = os.path.join(meshd.state_dir, "registry.db")
        self.connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)

    def registered_after(self, seq):
        """Number and agent of each registration after an event."""
        query = "SELECT seq, agent_id FROM events WHERE seq > ? AND name = 'agent.registered' ORDER BY seq"
        return self.connection.execute(query, (seq,)).fetchall()

    def name_of(self, agent_id):
        return self.connection.execute("SELECT name FROM agents WHERE id = ?", (agent_id,)).fetchone()[0]


def spread(seconds):
    """How a set of times is told."""
    times = sorted(1000 * time for time in seconds)
    return f"p50 {times[len(times) // 2]:.1f}, p99 {times[len(times) * 99 // 100]:.1f}, most {times[-1]:.1f} ms"


# -- trees -----------------------------------------------------------------------
def trees(args, home):
    tree = os.path.join(home, "tree")
    os.mkdir(tree)
    meshd = Meshd(args.meshd, [tree], home, "--sweep-interval", "1h")
    try:
        meshd.start().ready()
        commits, half = Commits(meshd), args.trees // 2
        start = time.monotonic()
        makers = [subprocess.Popen([sys.executable, __file__, "make-trees", tree, str(first), str(last),
                                    os.path.join(home, f"made-from-{first}")])
                  for first, last in ((0, half), (half, args.trees))]
        seen, after = {}, 0

        def all_there():
            nonlocal after
            for after, agent_id in commits.registered_after(after):
                seen[agent_id] = time.monotonic()
            return len(seen) == args.trees
        until(f"all {args.trees} new trees are in the registry", all_there, deadline=120, again=READ_AGAIN)
        took = time.monotonic() - start
        made = {}
        for maker, first in zip(makers, (0, half)):
            if maker.wait() != 0:
                raise Failed(f"the process that makes trees ended with {maker.returncode}")
            with open(os.path.join(home, f"made-from-{first}"), encoding="utf-8") as file:
                made.update(json.load(file))
        told(f"{args.trees} trees by two processes, to the last row", took)
        told("of that, making them", max(made.values()) - start)
        print(f"    from the first directory of one to its row: {spread(seen[agent] - made[agent] for agent in made)}")
        expect_nothing(meshd.differences())
        meshd.nothing_to_do()
        if missed := meshd.metric("meshd_missed_events_total"):
            raise Failed(f"{missed:g} of them were announced by no event")
        finish(meshd)
    finally:
        meshd.close()


def make_trees(tree, first, last, made):
    """A process of its own: makes trees, and says when it began each, by a clock that all processes share."""
    at = {}
    for number in range(first, last):
        manifest = new_manifest(number)
        at[manifest["id"]] = time.monotonic()
        write(os.path.join(tree, f"t{number:05d}", "a", "p"), manifest)
    with open(made, "w", encoding="utf-8") as file:
        json.dump(at, file)


# -- overflow, stopped -------------------------------------------------------------
def overflow(args, home):
    with open("/proc/sys/fs/inotify/max_queued_events", encoding="ascii") as file:
        queue = int(file.read())
    # A new file is announced twice: made, and closed.
    if 2 * args.files <= queue:
        raise Failed(f"{args.files} files do not fill a queue of {queue}")

    def while_stopped(projects):
        for number in range(args.files):
            with open(os.path.join(projects[-1], f"file-{number}"), "wb"):
                pass
    meshd = stood_still(args, home, while_stopped)
    try:
        if not meshd.told("watch.overflow"):
            raise Failed("no event says watch.overflow")
        print(f"    {len(meshd.told('watch.overflow'))} watch.overflow for {args.files} files in a queue of {queue}")
        finish(meshd)
    finally:
        meshd.close()


def stopped(args, home):
    meshd = stood_still(args, home, lambda _: time.sleep(args.seconds))
    try:
        finish(meshd)
    finally:
        meshd.close()


def stood_still(args, home, while_stopped):
    """A daemon that was stopped while all was done that is done by hand, and has found it; it still runs."""
    tree = os.path.join(home, "tree")
    projects = make_tree(tree, 100)
    meshd = Meshd(args.meshd, [tree], home, "--sweep-interval", "1h")
    try:
        meshd.start().ready()
        before, sweeps = len(meshd.agents()), meshd.metric("meshd_sweeps_total")
        done = by_hand(projects)
        meshd.pause()
        # First what may fill the queue, so that nothing of the rest is announced.
        while_stopped(projects)
        for _, do, _ in done:
            do()
        meshd.resume()
        told("going on: swept after", until("a sweep", lambda: meshd.metric("meshd_sweeps_total") > sweeps)[1])
        for what, _, holds in done:
            # What "restore it" undid was never seen missing.
            if what != "delete a manifest":
                until(what, lambda holds=holds: holds(meshd))
        told("listing and disk agree after", meshd.same_as_disk())
        meshd.quiet()
        if removed := meshd.told("agent.removed"):
            raise Failed(f"removed: {removed}")
        # By hand one project is made.
        if len(meshd.agents()) != before + 1:
            raise Failed(f"{before} agents became {len(meshd.agents())}, and not one more")
        heard(meshd, os.path.join(tree, "new", "deep", "project"))
        meshd.nothing_to_do()
    except BaseException:
        meshd.close()
        raise
    return meshd


def heard(meshd, project):
    """An edit of a project is found, with no sweep near."""
    manifest = load(project)
    save(project, {**manifest, "name": "heard"})
    told("and an edit of a project that was made meanwhile",
         until(f"the edit of {project}", lambda: meshd.agent(manifest["id"])["name"] == "heard")[1])


# -- removal -----------------------------------------------------------------------
def removal(args, home):
    tree, tries = os.path.join(home, "tree"), range(3)
    bystanders = [os.path.join(tree, "bystanders", f"p{number:02d}") for number in range(20)]
    for number, project in enumerate(bystanders):
        write(project, new_manifest(number))
    large = [os.path.join(tree, "large", f"p{number}") for number in tries]
    modules = [os.path.join(tree, "site", f"p{number}", "node_modules") for number in tries]
    for number in tries:
        write(large[number], new_manifest(100 + number))
        for directory in range(args.directories):
            os.makedirs(os.path.join(large[number], f"d{directory // 100:03d}", f"d{directory % 100:02d}"))
        write(os.path.dirname(modules[number]), new_manifest(200 + number))
        for file in range(args.modules):
            package = os.path.join(modules[number], f"m{file // 100:03d}")
            os.makedirs(package, exist_ok=True)
            with open(os.path.join(package, f"{file % 100:02d}.js"), "wb"):
                pass
    meshd = Meshd(args.meshd, [tree], home, "--sweep-interval", "1h")
    try:
        meshd.start().ready()
        edits = edits_of(bystanders, Commits(meshd))
        print(f"    an edit while nothing is removed: {spread(itertools.islice(edits, 50))}")
        watches = meshd.metric("meshd_watches")
        remove(f"a project of {args.directories} directories", large, edits)
        told("their watches are given back after",
             until("fewer watches", lambda: meshd.metric("meshd_watches") <= watches - args.directories)[1])
        remove(f"a node_modules of {args.modules} files", modules, edits)
        meshd.same_as_disk()
        meshd.quiet()
        meshd.nothing_to_do()
        finish(meshd)
    finally:
        meshd.close()


def edits_of(projects, commits):
    """Edits one project after the other, and yields the seconds from the begin of each save to its row.

    Not from its end: the daemon is woken within the save, and may be done before this process goes on.
    """
    for number in itertools.count():
        project = projects[number % len(projects)]
        manifest = {**load(project), "name": f"edit-{number}"}
        start = time.monotonic()
        save(project, manifest)
        until(f"edit {number}", lambda manifest=manifest: commits.name_of(manifest["id"]) == manifest["name"],
              again=READ_AGAIN)
        yield time.monotonic() - start


def remove(what, directories, edits):
    """Removes one directory after the other, until the edits meanwhile and right afterwards were all in time."""
    for directory in directories:
        with subprocess.Popen(["rm", "-rf", directory]) as rm:
            meanwhile = [next(edits)]
            while rm.poll() is None:
                meanwhile.append(next(edits))
        if rm.returncode != 0:
            raise Failed(f"rm -rf {directory} ended with {rm.returncode}")
        afterwards = list(itertools.islice(edits, 50))
        print(f"    an edit while {what} is removed ({len(meanwhile)}): {spread(meanwhile)}")
        print(f"    and right afterwards ({len(afterwards)}): {spread(afterwards)}")
        if max(meanwhile + afterwards) <= REMOVAL_DEADLINE:
            return
    raise Failed(f"each time an edit takes more than {ms(REMOVAL_DEADLINE)} while {what} is removed")


def main():
    if sys.argv[1:2] == ["make-trees"]:
        return make_trees(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trees", type=int, default=1000, help="for trees")
    parser.add_argument("--files", type=int, default=20_000, help="for overflow: made while the daemon stands still")
    parser.add_argument("--directories", type=int, default=500, help="for removal: directories of the project")
    parser.add_argument("--modules", type=int, default=5000, help="for removal: files below node_modules")
    parser.add_argument("--seconds", type=float, default=5.0, help="for stopped: how long")
    return run_parts(parser, {"trees": trees, "overflow": overflow, "stopped": stopped, "removal": removal})


if __name__ == "__main__":
    sys.exit(main())
