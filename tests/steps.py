#!/usr/bin/env python3
"""steps.py: every file and database call of an operation fails once, and is killed once; then meshd starts again.

  tests/steps.py [OPERATION…] [--every K] [--meshd FILE] [--keep]

  register   a project without a manifest              replace     a project with one, by another agent
  update     some keys of a manifest                   unregister  an agent
  relocate   a contested id                            migrate     a registry of schema 1 with rows

The operation runs once to count its calls. Then it runs again for each of them, always from the same start, with that
call failing (EIO, ENOSPC, EACCES) or the process killed at it (strace's fault injection), and `meshd reconcile` follows.
Afterwards there is no orphan row, file, endpoint, rule or temporary file, a manifest that was replaced is there or its
successor is, and what was reported as done is done. --every K takes only one in K of the runs; all of them take a
quarter of an hour. Exit status: 0 all hold, 1 not.
"""
import argparse
import collections
import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

from live import TOP, Failed, default_binary

# What opens, reads, writes, syncs, moves or removes. One that is not called in an operation costs nothing here.
CALLS = ("openat openat2 read pread64 write pwrite64 fsync fdatasync ftruncate rename renameat renameat2 link linkat "
         "unlink unlinkat mkdir mkdirat rmdir chmod fchmod fchmodat flock statx newfstatat fstat lseek getdents64 "
         "fallocate fcntl").split()
FAULTS = ("error=EIO", "error=ENOSPC", "error=EACCES", "signal=KILL")
TEMPORARY = ".agent.json.meshd"


def manifest(agent_id, name, **more):
    return {"id": agent_id, "name": name, "runtime": "codex", "registeredAt": "2026-01-01T00:00:00.000Z",
            "registeredBy": "steps", **more}


class Place:
    """One start: a scan root and a state directory."""

    def __init__(self, home, binary):
        self.home, self.binary = home, binary
        self.root, self.state = os.path.join(home, "root"), os.path.join(home, "state")

    def project(self, name):
        return os.path.join(self.root, "ns", name)

    def file(self, name):
        return os.path.join(self.project(name), ".dork", "agent.json")

    def write(self, name, content):
        os.makedirs(os.path.dirname(self.file(name)), exist_ok=True)
        with open(self.file(name), "w", encoding="utf-8") as file:
            file.write(content if isinstance(content, str) else json.dumps(content, indent=2) + "\n")

    def read(self, name):
        try:
            with open(self.file(name), encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def meshd(self, *arguments, under=()):
        return subprocess.run([*under, self.binary, *arguments, "--state-dir", self.state], stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=60, check=False)

    def sql(self, file, query):
        path = os.path.join(self.state, file)
        if not os.path.exists(path):
            return []
        connection = sqlite3.connect(path)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()


# -- the operations ------------------------------------------------------------
# Each: how its start is made, what is run, and what must hold once it is done (or, if it failed, whether nothing changed).
def start_register(place):
    os.makedirs(place.project("p"))


def start_replace(place):
    # Tabs, and a mode of its own: it must come back byte for byte.
    place.write("p", json.dumps(manifest("old", "the old one"), indent="\t"))
    os.chmod(place.file("p"), 0o640)


def start_update(place):
    place.write("p", manifest("a", "before", unknown=[1, {"x": None}]))


def start_unregister(place):
    place.write("p", manifest("a", "goes"))


def start_relocate(place):
    place.write("p", manifest("a", "wanders"))
    place.meshd("reconcile", place.root)
    place.write("q", manifest("a", "wanders"))
    os.unlink(place.file("p"))


def start_migrate(place):
    place.write("p", manifest("a", "old row"))
    os.makedirs(place.state)
    with open(os.path.join(TOP, "src", "registry", "sql", "001_base.sql"), encoding="utf-8") as file:
        base = file.read()
    connection = sqlite3.connect(os.path.join(place.state, "registry.db"))
    connection.executescript(base)
    connection.execute("INSERT INTO agents (id, name, runtime, project_path, registered_at, updated_at, last_seen_at) VALUES "
                       "('a', 'old row', 'codex', ?, '2025-05-05T05:05:05.000Z', '2025-05-05T05:05:05.000Z', "
                       "'2025-06-06T06:06:06.000Z')", (place.project("p"),))
    connection.execute("INSERT INTO agent_denials VALUES ('d', '/nowhere', 'noisy', 'me', '2025-05-05T05:05:05.000Z')")
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()


def name_in(text):
    return json.loads(text)["name"] if text else None


def has_denial(place):
    """What no manifest holds outlives a migration, whatever happens to it."""
    return place.sql("registry.db", "SELECT path FROM agent_denials") == [("/nowhere",)]


Operation = collections.namedtuple("Operation", "start run done untouched always")
OPERATIONS = {
    "register": Operation(
        start_register,
        lambda place: ("register", place.project("p"), "--name", "new", "--runtime", "codex"),
        lambda place: name_in(place.read("p")) == "new",
        lambda place, before: place.read("p") is None,
        lambda place, before: True),
    "replace": Operation(
        start_replace,
        lambda place: ("register", place.project("p"), "--name", "new", "--runtime", "codex", "--replace"),
        lambda place: name_in(place.read("p")) == "new",
        lambda place, before: place.read("p") == before,
        lambda place, before: place.read("p") == before or name_in(place.read("p")) == "new"),
    "update": Operation(
        start_update,
        lambda place: ("update", "a", "--name", "after", "--namespace", "elsewhere"),
        lambda place: name_in(place.read("p")) == "after" and '"unknown"' in place.read("p"),
        lambda place, before: place.read("p") == before,
        lambda place, before: '"unknown"' in (place.read("p") or "")),
    "unregister": Operation(
        start_unregister,
        lambda place: ("unregister", "a"),
        lambda place: place.read("p") is None,
        lambda place, before: place.read("p") == before,
        lambda place, before: place.read("p") in (None, before)),
    "relocate": Operation(
        start_relocate,
        lambda place: ("relocate", "--accept", "a", place.project("q")),
        lambda place: place.sql("registry.db", "SELECT project_path FROM agents") == [(place.project("q"),)],
        lambda place, before: True,
        lambda place, before: name_in(place.read("q")) == "wanders"),
    "migrate": Operation(
        start_migrate,
        lambda place: ("reconcile", place.root),
        lambda place: place.sql("registry.db", "SELECT id, registered_at FROM agents") == [("a", "2025-05-05T05:05:05.000Z")],
        lambda place, before: True,
        lambda place, before: place.read("p") == before and has_denial(place)),
}
# An agent that a relocation leaves contested is unreachable at its old home until it settles.
MAY_BE_UNREACHABLE = {"relocate"}


# -- what must hold ------------------------------------------------------------
def findings(name, place, before, code, said):
    """What is wrong after the operation, and a reconcile that followed."""
    operation, wrong = OPERATIONS[name], []
    for directory, _, files in os.walk(place.root):
        wrong += [f"a file that nobody wants: {os.path.join(directory, file)}" for file in files if file != "agent.json"]
    if place.sql("registry.db", "SELECT * FROM operations"):
        wrong.append("an operation is noted that is over")
    on_disk = {}
    for project in ("p", "q"):
        text = place.read(project)
        if text is None:
            continue
        try:
            on_disk.setdefault(json.loads(text)["id"], []).append(place.project(project))
        except ValueError:
            wrong.append(f"a torn manifest: {text!r}")
    rows = place.sql("registry.db", "SELECT id, project_path, status, namespace FROM agents")
    for agent_id, project, status, _ in rows:
        home = on_disk.get(agent_id, [])
        if status == "unreachable" and name in MAY_BE_UNREACHABLE and home:
            continue
        if project not in home or status == "unreachable":
            wrong.append(f"a row without its manifest: {agent_id} {project} {status}")
    wrong += [f"a manifest without a row: {agent_id}" for agent_id in on_disk if agent_id not in [row[0] for row in rows]]
    wrong += relay_findings(place, rows)
    if not operation.always(place, before):
        wrong.append(f"what must never be lost is lost: {place.read('p')!r}")
    if code == 0 and not operation.done(place):
        wrong.append("it was reported as done, and is not")
    if code == 1 and "could not be put back" not in said and "undoing it failed too" not in said:
        if not operation.untouched(place, before) and not operation.done(place):
            wrong.append("it failed, and things are neither as before nor as they were to be")
    if "panicked" in said:
        wrong.append("a panic")
    return wrong


def relay_findings(place, rows):
    """Endpoints and rules are those of the rows, neither more nor less."""
    wanted = sorted(f"relay.agent.{namespace}.{agent_id}" for agent_id, _, _, namespace in rows)
    found = sorted(subject for (subject,) in place.sql("relay.db", "SELECT subject FROM endpoints"))
    namespaces = sorted({namespace for _, _, _, namespace in rows} - {""})
    ruled = sorted({pattern.split(".")[2] for (pattern,) in place.sql("relay.db", "SELECT from_pattern FROM rules")})
    wrong = []
    if wanted != found:
        wrong.append(f"endpoints {found} for the rows {wanted}")
    if namespaces != ruled:
        wrong.append(f"rules of {ruled} for the namespaces {namespaces}")
    return wrong


# -- the runs --------------------------------------------------------------------
LINE = re.compile(r"^(\d+) +(\w+)\((.*)$")
# Whatever the dynamic loader and the C library look up concerns nobody here.
SYSTEM = re.compile(r'"(/lib|/usr|/etc|/proc|/sys|/dev|/nix)|/ld\.so|libc\.so')


def calls_of(name, place):
    """The calls of an operation: which, and each number at which some thread calls it on something of ours."""
    log = os.path.join(place.home, "trace")
    done = place.meshd(*OPERATIONS[name].run(place),
                       under=("strace", "-f", "-qq", "-o", log, "-e", "trace=" + ",".join(CALLS), "-e", "signal=none"))
    if done.returncode != 0:
        raise Failed(f"{name} does not work at all: {done.stderr.decode('utf-8', 'replace')}")
    counts, ours = collections.Counter(), collections.defaultdict(set)
    with open(log, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            found = LINE.match(line)
            # The second half of a call that was interrupted in the log is no call.
            if not found or found[2] == "resumed":
                continue
            thread, call, arguments = found.groups()
            counts[thread, call] += 1
            if not SYSTEM.search(arguments):
                ours[call].add(counts[thread, call])
    return [(call, number) for call in CALLS for number in sorted(ours[call])]


def run_at(name, place, fault, call, number):
    before = place.read("p")
    inject = f"inject={call}:{fault}:when={number}"
    done = place.meshd(*OPERATIONS[name].run(place),
                       under=("strace", "-f", "-qq", "-o", os.devnull, "-e", "trace=" + call, "-e", inject))
    said = (done.stdout + done.stderr).decode("utf-8", "replace")
    settled = place.meshd("reconcile", place.root)
    if settled.returncode != 0:
        return [f"reconcile ended with {settled.returncode}: {settled.stderr.decode('utf-8', 'replace')}"], said
    return findings(name, place, before, done.returncode, said), said


def prove(name, args):
    # One place for all runs of an operation, since paths are part of what is recorded.
    base = tempfile.mkdtemp(prefix=f"meshd-steps-{name}-")
    place, template = Place(os.path.join(base, "run"), args.meshd), Place(os.path.join(base, "start"), args.meshd)
    wrong, started = 0, time.monotonic()
    try:
        os.makedirs(place.root)
        OPERATIONS[name].start(place)
        if name != "migrate":
            place.meshd("reconcile", place.root)
        shutil.copytree(place.home, template.home, symlinks=True)
        plan = [(fault, call, number) for call, number in calls_of(name, place) for fault in FAULTS]
        # Always the same ones, of every kind of fault.
        chosen = random.Random(1).sample(plan, -(-len(plan) // args.every))
        for fault, call, number in chosen:
            shutil.rmtree(place.home)
            shutil.copytree(template.home, place.home, symlinks=True)
            found, said = run_at(name, place, fault, call, number)
            if found:
                wrong += 1
                print(f"  {name}: {call} number {number}, {fault}: {'; '.join(found)}\n    it said: {said.strip()[-300:]}",
                      flush=True)
                if args.keep:
                    shutil.copytree(place.home, f"{base}-{call}-{number}-{fault.replace('=', '-')}", symlinks=True)
        print(f"{name}: {len(chosen)} of {len(plan)} faults, {wrong} wrong, {time.monotonic() - started:.0f} s", flush=True)
    finally:
        if not args.keep:
            shutil.rmtree(base, ignore_errors=True)
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("operations", nargs="*", metavar="OPERATION")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--meshd", default=default_binary())
    parser.add_argument("--keep", action="store_true")
    args = parser.parse_args()
    unknown = set(args.operations) - set(OPERATIONS)
    if unknown:
        parser.error(f"no such operation: {', '.join(sorted(unknown))}")
    wrong = sum(prove(name, args) for name in args.operations or OPERATIONS)
    print("all hold" if wrong == 0 else f"{wrong} do not hold")
    return 0 if wrong == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
