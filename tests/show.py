#!/usr/bin/env python3
"""show.py: what a user does by hand, done with the real binary, each held against what must then be so.

  tests/show.py [PART…] [--agents N] [--trees N] [--meshd FILE] [--keep]

  hand       1,000 agents; edit, delete, restore, move, copy, swap: each is in the registry at once
  sweep      the same with the watcher off, after one reconcile
  trees      new trees, made as fast as a second process can: none is missed, and no sweep is needed
  gone       rm -rf, put back, the grace period, a scan root that is renamed away and back
  files      a manifest that is a FIFO, a directory, a link, huge, or nonsense: the row stays, and it is said
  fixtures   every manifest of fixtures/, each in a project of its own; no control character is printed
  refusals   bad configuration, a second daemon, a registry from the future, SIGTERM

Times are told and not asserted: a deadline only ends what does not come at all. Exit status: 0 all hold, 1 not.
"""
import argparse
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time

from live import TOP, Failed, Meshd, default_binary, tool, until


# -- trees and manifests -------------------------------------------------------
def manifest_of(project):
    return os.path.join(project, ".dork", "agent.json")


def load(project):
    with open(manifest_of(project), encoding="utf-8") as file:
        return json.load(file)


def write(project, manifest):
    """Makes the project and writes its manifest in place."""
    os.makedirs(os.path.join(project, ".dork"), exist_ok=True)
    with open(manifest_of(project), "w", encoding="utf-8") as file:
        json.dump(manifest, file, indent=2, ensure_ascii=False)
        file.write("\n")


def save(project, manifest):
    """Writes a manifest as most editors do: beside it, and then renamed."""
    path = manifest_of(project)
    with open(path + ".tmp", "w", encoding="utf-8") as file:
        json.dump(manifest, file, indent=2, ensure_ascii=False)
        file.write("\n")
    os.rename(path + ".tmp", path)


def new_manifest(number, **fields):
    return {"id": f"01K0SHOW{number:018d}", "name": f"agent-{number}", "runtime": "codex",
            "registeredAt": "2026-01-01T00:00:00.000Z", "registeredBy": "show", **fields}


def make_tree(tree, agents):
    subprocess.run([sys.executable, tool("mktree.py"), tree, str(agents)], check=True, stdout=subprocess.DEVNULL)
    return sorted(os.path.join(tree, namespace, project)
                  for namespace in os.listdir(tree) for project in os.listdir(os.path.join(tree, namespace)))


def rename_over(one, other):
    """Two projects change places."""
    side = one + ".side"
    os.rename(one, side)
    os.rename(other, one)
    os.rename(side, other)


def ms(seconds):
    return f"{seconds * 1000:.0f} ms"


def told(what, took):
    print(f"    {what:<60} {ms(took):>9}", flush=True)


def is_status(meshd, agent_id, status):
    row = meshd.agent(agent_id)
    return row is not None and row["status"] == status


# -- hand, sweep -----------------------------------------------------------------
def by_hand(projects):
    """What is done by hand, each to projects of its own: what, how, and what the registry must then say."""
    mine = iter(projects)
    at = {name: next(mine) for name in ("edit", "write", "delete", "restore", "rm", "move", "copy", "one", "other")}
    manifests = {name: load(project) for name, project in at.items()}
    ids = {name: manifest["id"] for name, manifest in manifests.items()}
    tree = os.path.dirname(os.path.dirname(projects[0]))
    # The last namespace of the tree, of which nothing was taken above.
    namespace = os.path.dirname(projects[-1])
    below = [load(project)["id"] for project in projects if os.path.dirname(project) == namespace]
    fresh = new_manifest(1)

    def lies(meshd, name, project):
        row = meshd.agent(ids[name])
        return row is not None and row["projectPath"] == project and row["status"] == "active"

    def restore():
        os.unlink(manifest_of(at["restore"]))
        write(at["restore"], {**manifests["restore"], "name": "restored"})

    return [
        ("edit a manifest, saved by rename",
         lambda: save(at["edit"], {**manifests["edit"], "name": "edited"}),
         lambda meshd: meshd.agent(ids["edit"])["name"] == "edited"),
        ("edit a manifest, written in place",
         lambda: write(at["write"], {**manifests["write"], "description": "naïve ✓"}),
         lambda meshd: meshd.agent(ids["write"])["description"] == "naïve ✓"),
        ("delete a manifest",
         lambda: os.unlink(manifest_of(at["delete"])),
         lambda meshd: is_status(meshd, ids["delete"], "unreachable")),
        ("restore it",
         lambda: write(at["delete"], manifests["delete"]),
         lambda meshd: is_status(meshd, ids["delete"], "active")),
        ("delete a manifest and write it again",
         restore,
         lambda meshd: meshd.agent(ids["restore"])["name"] == "restored"),
        ("rm -rf of a project",
         lambda: shutil.rmtree(at["rm"]),
         lambda meshd: is_status(meshd, ids["rm"], "unreachable")),
        ("a new project in a new place",
         lambda: write(os.path.join(tree, "new", "deep", "project"), fresh),
         lambda meshd: is_status(meshd, fresh["id"], "active")),
        ("move a project to another namespace",
         lambda: os.rename(at["move"], os.path.join(tree, "moved")),
         lambda meshd: lies(meshd, "move", os.path.join(tree, "moved"))),
        ("move a directory of projects",
         lambda: os.rename(namespace, namespace + "-moved"),
         lambda meshd: sum(row["projectPath"].startswith(namespace + "-moved/") and row["status"] == "active"
                           for row in meshd.agents()) == len(below)),
        ("copy a project: refused, and said",
         lambda: shutil.copytree(at["copy"], os.path.join(tree, "copy")),
         lambda meshd: os.path.join(tree, "copy") in meshd.problems() and lies(meshd, "copy", at["copy"])),
        ("swap two projects",
         lambda: rename_over(at["one"], at["other"]),
         lambda meshd: lies(meshd, "one", at["other"]) and lies(meshd, "other", at["one"])),
    ]


def hand(args, home):
    tree = os.path.join(home, "tree")
    projects = make_tree(tree, args.agents)
    meshd = Meshd(args.meshd, [tree], home, "--sweep-interval", "1h")
    try:
        told(f"start with {args.agents} agents, until it is ready", meshd.start().ready())
        expect_nothing(meshd.differences())
        for what, do, holds in by_hand(projects):
            do()
            told(what, until(what, lambda holds=holds: holds(meshd))[1])
        told("listing and disk agree after all that", meshd.same_as_disk())
        meshd.quiet()
        meshd.nothing_to_do()
        finish(meshd)
    finally:
        meshd.close()


def sweep(args, home):
    tree = os.path.join(home, "tree")
    projects = make_tree(tree, args.agents)
    meshd = Meshd(args.meshd, [tree], home, "--no-watch", "--sweep-interval", "1h")
    try:
        meshd.start().ready()
        expect_nothing(meshd.differences())
        done = by_hand(projects)
        for _, do, _ in done:
            do()
        start = time.monotonic()
        result = meshd.answer("reconcile")
        told("one reconcile for all of it", time.monotonic() - start)
        print(f"    {json.dumps(result)}")
        for what, _, holds in done:
            # What "restore it" undid was never seen missing.
            if what != "delete a manifest":
                until(what, lambda holds=holds: holds(meshd))
        told("listing and disk agree", meshd.same_as_disk())
        finish(meshd)
    finally:
        meshd.close()


# -- trees -----------------------------------------------------------------------
def trees(args, home):
    tree = os.path.join(home, "tree")
    os.mkdir(tree)
    meshd = Meshd(args.meshd, [tree], home, "--sweep-interval", "1h")
    try:
        meshd.start().ready()
        start = time.monotonic()
        subprocess.run([sys.executable, __file__, "make-trees", tree, str(args.trees)], check=True)
        made = time.monotonic() - start

        def all_there():
            return meshd.answer("status")["activeCount"] == args.trees
        _, took = until(f"all {args.trees} new trees are in the registry", all_there, deadline=30)
        told(f"{args.trees} trees, made in {ms(made)}: the last one was there after", took)
        expect_nothing(meshd.differences())
        missed = meshd.answer("status")["missedEvents"]
        if missed:
            raise Failed(f"{missed} of them were found by a sweep and announced by no event")
        finish(meshd)
    finally:
        meshd.close()


def make_trees(tree, count):
    """The second process: `mkdir -p a/b/p/.dork`, and the manifest at once."""
    for number in range(count):
        write(os.path.join(tree, f"t{number:05d}", "a", "b", "p"), new_manifest(number))


# -- gone ------------------------------------------------------------------------
def gone(args, home):
    root = os.path.join(home, "tree")
    project, other = os.path.join(root, "a", "one"), os.path.join(root, "b", "two")
    manifest, stays = new_manifest(1), new_manifest(2)
    write(project, manifest)
    write(other, stays)
    grace = 2.0
    meshd = Meshd(args.meshd, [root], home, "--grace-period", f"{grace:g}s", "--sweep-interval", "1h")
    try:
        meshd.start().ready()
        shutil.rmtree(project)
        told("rm -rf: unreachable", until("unreachable", lambda: is_status(meshd, manifest["id"], "unreachable"))[1])
        write(project, manifest)
        told("put back: active", until("active", lambda: is_status(meshd, manifest["id"], "active"))[1])

        shutil.rmtree(project)
        until("unreachable", lambda: is_status(meshd, manifest["id"], "unreachable"))
        since = time.monotonic()
        if meshd.answer("reconcile")["removed"]:
            raise Failed("removed by the first pass that could")

        def removed():
            meshd.answer("reconcile")
            return meshd.agent(manifest["id"]) is None
        until("removed when the grace period is over", removed)
        kept = time.monotonic() - since
        if kept < grace - 0.5:
            raise Failed(f"removed after {kept:.1f} s, with a grace period of {grace:g} s")
        told(f"gone for good, with --grace-period {grace:g}s", kept)

        away = root + ".away"
        os.rename(root, away)

        def offline():
            row = meshd.agent(stays["id"])
            return row is not None and row["status"] == "unreachable" and row["unreachableReason"] == "root_offline"
        told("scan root renamed away: root_offline", until("root_offline", offline)[1])
        since, passes = time.monotonic(), 0
        while time.monotonic() - since < grace + 1 or passes < 3:
            meshd.answer("reconcile")
            passes += 1
            if not offline():
                raise Failed(f"after {passes} passes with its root offline the agent is {meshd.agent(stays['id'])}")
        told(f"and still so after {passes} passes", time.monotonic() - since)
        os.rename(away, root)
        told("the root is back: active", until("active", lambda: is_status(meshd, stays["id"], "active"))[1])
        write(project, manifest)
        _, took = until("active", lambda: is_status(meshd, manifest["id"], "active"))
        told("and watched again: a new project there", took)
        finish(meshd)
    finally:
        meshd.close()


# -- files -----------------------------------------------------------------------
def in_place_of(path, kind):
    """Puts something that is no manifest where one was."""
    os.unlink(path)
    outside = os.path.join(os.path.dirname(path), "elsewhere.json")
    if kind == "a FIFO":
        os.mkfifo(path)
    elif kind == "a directory":
        os.mkdir(path)
    elif kind == "a socket":
        # Bound by a relative name: the full one may be longer than a socket's address can be.
        here = os.getcwd()
        os.chdir(os.path.dirname(path))
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("agent.json")
        os.chdir(here)
    elif kind == "a link to a manifest":
        with open(outside, "w", encoding="utf-8") as file:
            json.dump(new_manifest(999), file)
        os.symlink(outside, path)
    elif kind == "a dangling link":
        os.symlink(outside + ".gone", path)
    elif kind == "a link to itself":
        os.symlink(path, path)
    elif kind == "1 GiB, sparse":
        with open(path, "wb") as file:
            file.truncate(1 << 30)
    else:
        contents = {"0 bytes": b"", "half a manifest": b'{"id": "', "with a byte-order mark": b"\xef\xbb\xbf{}",
                    "nested 10,000 deep": b"[" * 10_000, "UTF-16": "{}".encode("utf-16")}
        with open(path, "wb") as file:
            file.write(contents[kind])


KINDS = ["a FIFO", "a directory", "a socket", "a link to a manifest", "a dangling link", "a link to itself",
         "1 GiB, sparse", "0 bytes", "half a manifest", "with a byte-order mark", "nested 10,000 deep", "UTF-16"]


def files(args, home):
    root = os.path.join(home, "tree")
    projects = [os.path.join(root, "ns", f"p{number:02d}") for number in range(len(KINDS))]
    manifests = [new_manifest(number) for number in range(len(KINDS))]
    for project, manifest in zip(projects, manifests):
        write(project, manifest)
    meshd = Meshd(args.meshd, [root], home, "--sweep-interval", "1h")
    try:
        meshd.start().ready()
        before = {row["id"]: (row["name"], row["projectPath"], row["status"]) for row in meshd.agents()}
        for kind, project in zip(KINDS, projects):
            in_place_of(manifest_of(project), kind)
            told(kind, until(f"a problem at {project}", lambda project=project: project in meshd.problems())[1])
        after = {row["id"]: (row["name"], row["projectPath"], row["status"]) for row in meshd.agents()}
        if before != after:
            raise Failed(f"rows changed: {sorted(set(before.items()) ^ set(after.items()))}")
        for project in projects:
            if meshd.command("explain", project).returncode != 0:
                raise Failed(f"meshd explain {project} has nothing to say")
        for project, manifest in zip(projects, manifests):
            shutil.rmtree(os.path.join(project, ".dork"))
            write(project, {**manifest, "name": "mended"})
        _, took = until("all are mended", lambda: not meshd.problems() and
                        all(row["name"] == "mended" and row["status"] == "active" for row in meshd.agents()))
        told("all put right again", took)
        expect_nothing(meshd.differences())
        finish(meshd)
    finally:
        meshd.close()


# -- fixtures ----------------------------------------------------------------------
def fixtures(args, home):
    root = os.path.join(home, "tree")
    expected = {}
    with open(os.path.join(TOP, "fixtures", "README.md"), encoding="utf-8") as readme:
        for line in readme:
            cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
            if len(cells) == 4 and cells[0].startswith("`") and cells[0].endswith(".json`"):
                expected[cells[0].strip("`")] = cells[2]
    for name in expected:
        project = os.path.join(root, "ns", name.removesuffix(".json"))
        os.makedirs(os.path.join(project, ".dork"))
        shutil.copyfile(os.path.join(TOP, "fixtures", "manifests", name), manifest_of(project))
    meshd = Meshd(args.meshd, [root], home, "--sweep-interval", "1h")
    try:
        meshd.start().ready()
        listed = {os.path.basename(row["projectPath"]) + ".json" for row in meshd.agents()}
        present = {name for name, probe in expected.items() if probe == "present"}
        if listed != present:
            raise Failed(f"listed, or not, against the table: {sorted(listed ^ present)}")
        until("each unreadable one is a problem",
              lambda: {os.path.basename(path) + ".json" for path in meshd.problems()} == set(expected) - present)
        for command in ("list", "status", "explain", "events"):
            where = [os.path.join(root, "ns", "hostile-strings")] if command == "explain" else []
            printed = meshd.command(command, *where)
            if printed.returncode != 0:
                raise Failed(f"meshd {command} ended with {printed.returncode}")
            if bad := sorted({c for c in printed.stdout.decode("utf-8") if acts(c)}):
                raise Failed(f"meshd {command} prints {bad}")
        print(f"    {len(expected)} manifests, {len(listed)} present, as the table says")
        # The table is stricter than the oracle, which does not look at every key: it gets the present ones only.
        for name in set(expected) - present:
            shutil.rmtree(os.path.join(root, "ns", name.removesuffix(".json")))
        until("no problem is left", lambda: not meshd.problems())
        expect_nothing(meshd.differences())
        finish(meshd)
    finally:
        meshd.close()


def acts(c):
    """Whether a character does something to a terminal; a newline between lines does what it should."""
    control = ord(c) < 32 or 127 <= ord(c) < 160
    reorders = "\u202a" <= c <= "\u202e" or "\u2066" <= c <= "\u2069"
    return c != "\n" and (control or reorders)


# -- refusals ----------------------------------------------------------------------
def refusals(args, home):
    root = os.path.join(home, "tree")
    write(os.path.join(root, "ns", "p"), new_manifest(1))
    config = os.path.join(home, "bad.toml")
    with open(config, "w", encoding="utf-8") as file:
        file.write('# A comment, so that the key stands on the third line.\n\nsweep_interval = "soon"\n')
    meshd = Meshd(args.meshd, [root], home)
    try:
        refused = meshd.command("run", root, "--config", config)
        expect_refusal(refused, 78, "a bad value in the configuration", ["sweep_interval", "3"])
        meshd.start().ready()
        second = meshd.command("run", root)
        expect_refusal(second, 75, "a second daemon", [str(meshd.process.pid)])
        expect_nothing(meshd.differences())
        finish(meshd)

        registry = os.path.join(meshd.state_dir, "registry.db")
        with sqlite3.connect(registry) as connection:
            connection.execute("PRAGMA user_version = 1000")
        connection.close()
        with open(registry, "rb") as file:
            before = file.read()
        expect_refusal(meshd.command("run", root), 78, "a registry from the future", ["1000"])
        with open(registry, "rb") as file:
            if file.read() != before:
                raise Failed("the registry from the future was written to")
    finally:
        meshd.close()


def expect_refusal(done, code, what, words):
    said = done.stderr.decode("utf-8", "replace")
    if done.returncode != code:
        raise Failed(f"{what}: exit status {done.returncode}, not {code}: {said.strip()}")
    for word in words:
        if word not in said:
            raise Failed(f"{what}: {said.strip()!r} does not name {word!r}")
    print(f"    {what}: exit {code}: {said.strip().splitlines()[-1]}")


# -- all -----------------------------------------------------------------------------
def expect_nothing(differences):
    if differences:
        raise Failed("\n  ".join(["listing and disk differ", *differences[:20]]))


def finish(meshd):
    meshd.consistent()
    told("SIGTERM", meshd.stop())
    meshd.sound()


PARTS = {"hand": hand, "sweep": sweep, "trees": trees, "gone": gone, "files": files, "fixtures": fixtures,
         "refusals": refusals}


def main():
    if sys.argv[1:2] == ["make-trees"]:
        return make_trees(sys.argv[2], int(sys.argv[3]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--agents", type=int, default=1000, help="for hand and sweep")
    parser.add_argument("--trees", type=int, default=2000, help="for trees")
    parser.add_argument("--meshd", default=default_binary(), help="the binary")
    parser.add_argument("--keep", action="store_true", help="leave the evidence of parts that hold, too")
    args = parser.parse_args()
    if unknown := set(args.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    failed = []
    for name in args.parts or PARTS:
        home = tempfile.mkdtemp(prefix=f"meshd-show-{name}-")
        print(f"{name}:", flush=True)
        try:
            PARTS[name](args, home)
        except (Failed, OSError, subprocess.SubprocessError) as error:
            failed.append(name)
            print(f"  FAILED: {error}\n  evidence: {home}", flush=True)
            continue
        print("  ok" + (f", evidence: {home}" if args.keep else ""), flush=True)
        if not args.keep:
            shutil.rmtree(home)
    print(f"failed: {', '.join(failed)}" if failed else "all hold")
    return 1 if failed else 0


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main())
