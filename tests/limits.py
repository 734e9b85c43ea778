#!/usr/bin/env python3
"""limits.py: too few watches, instances or files, with the real binary: said once, everything found, and recovered.

  tests/limits.py [PART…] [--agents N] [--patient] [--meshd FILE] [--keep]

  few        10 watches, the budget is meshd's own share of them
  hundred    100 watches and a budget far above: the kernel refuses
  half       half of what is needed
  neighbour  enough watches, but another program of the same user holds nearly all of them
  none       no inotify instance at all
  one        one instance
  files      40 open files, and then none to spare: what could not be looked at is not called missing

In the first five health says degraded; the log says it once, with numbers and what to raise; every kind of change is
found by polling, with the next sweep an hour away; and when the limit is raised nothing is cold any more. The daemon is
told to look again by SIGHUP; with --patient it is left to do so by itself, which takes it a minute.

The limits are those of a user namespace that each part makes for itself; the machine's own are never written. At full
size: --agents 2000 --patient. Exit status: 0 all hold, 1 not.
"""
import argparse
import ctypes
import os
import re
import shutil
import subprocess
import sys

from live import Failed, Meshd, Skipped, run_parts, until
from show import by_hand, expect_nothing, finish, load, make_tree, new_manifest, save, told, write

# The sweep is too far away to find anything, so that what is found was polled.
FLAGS = ("--sweep-interval", "1h", "--poll-interval", "1s")

# More than any test needs.
PLENTY = 1_000_000

# Open files in the part about them. A daemon that has nothing to do has about thirty.
FILES = 40

# The first of the daemon's own retries comes after a minute.
PATIENCE = 90.0

# What is advised: the sysctl of the machine, or that of the namespace, and what it is to be.
ADVICE = re.compile(r"(?:fs\.inotify\.max_user|user\.max_inotify)_(watches|instances)=(\d+)")


class Grants:
    """A user namespace with limits of its own, kept by a process that does nothing else."""

    def __init__(self, **limits):
        self.holder = subprocess.Popen(["unshare", "-Ur", "sh", "-c", "echo made; exec cat"], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if self.holder.stdout.readline() != b"made\n":
            self.close()
            raise Skipped("no user namespace can be made here")
        self.inside = ["nsenter", "--target", str(self.holder.pid), "--user", "--preserve-credentials", "--"]
        for name, most in limits.items():
            self.grant(name, most)

    def grant(self, name, most):
        """Sets a limit, `max_inotify_watches` or `max_inotify_instances`. The file is that of whoever writes it."""
        if os.readlink(f"/proc/{self.holder.pid}/ns/user") == os.readlink("/proc/self/ns/user"):
            raise Failed("the namespace is the machine's own, the limits of which are not touched")
        subprocess.run([*self.inside, "sh", "-c", f"echo {most} >/proc/sys/user/{name}"], check=True)

    def close(self):
        self.holder.stdin.close()
        self.holder.stdout.close()
        self.holder.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Neighbour:
    """Another program of the same user, which holds watches."""

    def __init__(self, grants, home, count):
        self.process = subprocess.Popen([*grants.inside, sys.executable, __file__, "hold-watches",
                                         os.path.join(home, "neighbour"), str(count)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.process.stdout.readline() != b"held\n":
            raise Failed("the neighbour does not get its watches")

    def leave(self):
        self.process.communicate()


def hold_watches(directory, count):
    """That program: it watches so many directories until its standard input ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    inotify = libc.inotify_init1(0)
    for number in range(count):
        path = os.path.join(directory, str(number))
        os.makedirs(path)
        # IN_CREATE. Which event it is does not matter: none comes.
        if libc.inotify_add_watch(inotify, os.fsencode(path), 0x100) < 0:
            return os.strerror(ctypes.get_errno())
    print("held", flush=True)
    sys.stdin.read()
    return 0


# -- too few of them ------------------------------------------------------------------
def few(args, home):
    short_of(args, home, "watches", 10)


def hundred(args, home):
    short_of(args, home, "watches", 100, "--watch-budget", "100000")


def half(args, home):
    # A project has four directories, its own and .dork among them; the few above do not matter.
    short_of(args, home, "watches", 2 * args.agents, "--watch-budget", "100000")


def none(args, home):
    short_of(args, home, "instances", 0)


def one(args, home):
    """Whether one is enough is meshd's affair; it finds everything, and says so if it is not."""
    with Grants(max_inotify_instances=1) as grants:
        meshd, projects = started(args, home, (), grants.inside)
        try:
            cold, said = meshd.fact("coldDirectories"), meshd.logged("watch.limit")
            print(f"    {cold} directories of {meshd.fact('watchesNeeded')} are cold")
            if (bool(meshd.fact("degraded")), len(said)) != (bool(cold), bool(cold)):
                raise Failed(f"{cold} are cold, and what is said of it: {meshd.fact('degraded')}, {said}")
            every_kind(meshd, projects)
            finish(meshd)
        finally:
            meshd.close()


def short_of(args, home, what, most, *flags):
    """So many watches or instances, until there are plenty."""
    limit = f"max_inotify_{what}"
    with Grants(**{limit: most}) as grants:
        room = most if what == "watches" else 0
        said = starved(args, home, grants, flags, room, lambda: grants.grant(limit, PLENTY))
        advises(said, what, most)


def neighbour(args, home):
    most = 10 * args.agents
    with Grants(max_inotify_watches=most) as grants:
        other = Neighbour(grants, home, 9 * args.agents)
        try:
            said = starved(args, home, grants, ("--watch-budget", "100000"), args.agents, other.leave)
        finally:
            other.leave()
        advises(said, "watches", most)


# -- what holds in all of them -------------------------------------------------------
def started(args, home, flags, inside):
    tree = os.path.join(home, "tree")
    projects = make_tree(tree, args.agents)
    meshd = Meshd(args.meshd, [tree], home, *FLAGS, *flags, inside=inside)
    try:
        told(f"start with {args.agents} agents, until it is ready", meshd.start().ready())
        expect_nothing(meshd.differences())
    except BaseException:
        meshd.close()
        raise
    return meshd, projects


def starved(args, home, grants, flags, room, relieve):
    """A daemon that has room for so many watches, until `relieve` gives it the rest. Returns what the log says."""
    meshd, projects = started(args, home, flags, grants.inside)
    try:
        degraded(meshd)
        # The state directory is watched as well, and a parent may be: half is far from what a mistake would leave.
        usable = min(room, meshd.fact("watchBudget"))
        until(f"{usable} watches are to be had, and at least half of them are used",
              lambda: meshd.fact("watches") >= usable // 2)
        every_kind(meshd, projects)
        relieve()
        if not args.patient:
            meshd.reload()
        recovered(meshd, projects)
        said = meshd.logged("watch.limit")
        if len(said) != 1:
            raise Failed(f"the log tells of the limit {len(said)} times: {said}")
        finish(meshd)
        return said[0]
    finally:
        meshd.close()


def degraded(meshd):
    """It says that it cannot watch everything: in health, in the log with its numbers, and in its figures."""
    until("status says degraded", lambda: meshd.fact("degraded"))
    cold, needed = meshd.fact("coldDirectories"), meshd.fact("watchesNeeded")
    said, _ = until("the log tells of the limit", lambda: meshd.logged("watch.limit"))
    print(f"    {cold} directories of {needed} are cold, budget {meshd.fact('watchBudget')}\n    {said[0]}")
    if not {str(cold), str(needed)} <= set(re.findall(r"\d+", said[0])):
        raise Failed(f"the log does not say that {cold} of {needed} directories are not watched")
    root, metric = meshd.root(meshd.roots[0]), meshd.metric("meshd_cold_directories")
    if not 0 < root["coldDirectories"] <= cold or metric != cold:
        raise Failed(f"{cold} are cold, {root['coldDirectories']} of the root and {metric:g} by the metrics")


def every_kind(meshd, projects):
    """Every kind of change is found all the same."""
    for what, do, holds in by_hand(projects):
        do()
        told(what, until(what, lambda holds=holds: holds(meshd))[1])
    namespace = os.path.dirname(projects[len(projects) // 2])
    late, deep = os.path.join(namespace, "late"), os.path.join(namespace, "a", "b", "c", "deep")
    for number, project in enumerate((late, deep), 2):
        manifest = new_manifest(number)
        write(project, manifest)
        told(f"a new project {os.path.relpath(project, meshd.roots[0])}",
             until(project, lambda manifest=manifest: meshd.agent(manifest["id"]) is not None)[1])
        found_edit(meshd, project, "and an edit of it")
    told("listing and disk agree after all that", meshd.same_as_disk())


def found_edit(meshd, project, what):
    manifest = load(project)
    save(project, {**manifest, "name": f"{manifest['name']}-edited"})
    told(what, until(what, lambda: meshd.agent(manifest["id"])["name"] == f"{manifest['name']}-edited")[1])


def recovered(meshd, projects):
    """Nothing is cold any more, so that what is found now was announced."""
    _, took = until("nothing is cold any more",
                    lambda: meshd.fact("coldDirectories") == 0 and not meshd.fact("degraded"), PATIENCE)
    told(f"the limit is raised: {meshd.fact('watches')} are watched", took)
    if meshd.metric("meshd_cold_directories"):
        raise Failed("the metrics still have cold directories")
    # Two of the first are where they were all the time, and one was made while it could not be watched.
    for project in (projects[0], projects[1], os.path.join(os.path.dirname(projects[len(projects) // 2]), "late")):
        found_edit(meshd, project, f"an edit of {os.path.relpath(project, meshd.roots[0])}")
    meshd.quiet()
    meshd.nothing_to_do()


def advises(said, what, most):
    """The log names the sysctl that is in the way, and a value that is more than what it has."""
    advised = [int(value) for name, value in ADVICE.findall(said) if name == what]
    if not advised or max(advised) <= most:
        raise Failed(f"there are {most} {what}, and the log does not say which sysctl to raise, and to what: {said}")


# -- too few open files --------------------------------------------------------------
def files(args, home):
    meshd, projects = started(args, home, (), ["prlimit", f"--nofile={FILES}:", "--"])
    try:
        print(f"    {open_files(meshd)} files are open, of {FILES}")
        every_kind(meshd, projects)
        # Three that are where they were.
        gone, edited, moved = projects[len(projects) // 2:][:3]
        # Nobody can say where the moved one went.
        lost, manifest = {load(gone)["id"], load(moved)["id"]}, load(edited)
        since = meshd.events()[-1]["seq"]
        limit_files(meshd, open_files(meshd))
        os.rename(moved, moved + "-moved")
        shutil.rmtree(gone)
        save(edited, {**manifest, "name": "edited-unseen"})
        told("no file can be opened any more, and it is said",
             until("the log tells of it", lambda: "Too many open files" in meshd.last_words())[1])
        limit_files(meshd, FILES)
        meshd.answer("reconcile")
        told("they can again, and one reconcile: listing and disk agree", meshd.same_as_disk())
        meshd.quiet()
        if wrong := [event for event in [*meshd.told("agent.removed"), *meshd.told("agent.unreachable")]
                     if event["seq"] > since and event["agentId"] not in lost]:
            raise Failed(f"for want of files: {wrong}")
        finish(meshd)
    finally:
        meshd.close()


def open_files(meshd):
    return len(os.listdir(f"/proc/{meshd.process.pid}/fd"))


def limit_files(meshd, most):
    subprocess.run(["prlimit", "--pid", str(meshd.process.pid), f"--nofile={most}:"], check=True)


def main():
    if sys.argv[1:2] == ["hold-watches"]:
        return hold_watches(sys.argv[2], int(sys.argv[3]))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=300, help="how many")
    parser.add_argument("--patient", action="store_true", help="no SIGHUP: wait until the daemon looks again by itself")
    return run_parts(parser, {"few": few, "hundred": hundred, "half": half, "neighbour": neighbour, "none": none,
                              "one": one, "files": files})


if __name__ == "__main__":
    sys.exit(main())
