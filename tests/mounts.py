#!/usr/bin/env python3
"""mounts.py: scan roots and drives that go away and come back, with the real binary: nothing of theirs is lost.

  tests/mounts.py [PART…] [--agents N] [--meshd FILE] [--keep]

  tmpfs        a scan root on a drive: unmounted, mounted again, mounted over, read-only
  ext4         the same, where unmounting ends the file system: an image on a loop device
  roots        a scan root that is renamed, replaced, deleted and made anew
  missing      a scan root that is not there at the start
  below        a drive below a scan root, unmounted and mounted again, its mount point kept and deleted
  below-ext4   the same with a file system that ends
  restart      the daemon is started while such a drive is away

What is away is unreachable, and stays what and where it is: past the grace period, however often everything is looked
at, and although a copy elsewhere claims the id of one. The next sweep is an hour away: all is noticed by itself. Mounts
are made in a namespace that ends with this program. At full size: --agents 1000. Exit status: 0 all hold, 1 not.
"""
import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import time

from live import Failed, Meshd, Skipped, run_parts, until
from show import finish, load, new_manifest, save, told, write

# In seconds. What is away stays away for longer than that.
GRACE = 1.0


# -- drives ------------------------------------------------------------------------
def mount(*arguments):
    done = subprocess.run(["mount", *arguments], stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise Skipped(f"mount {' '.join(arguments)}: {done.stderr.strip()}")


def unmount(place):
    """As a person does; who holds a file open there prevents it."""
    def done():
        return subprocess.run(["umount", place], stderr=subprocess.DEVNULL, check=False).returncode == 0
    until(f"umount {place}: somebody holds it", done)


def unmount_all(home):
    """Takes away whatever is mounted below a directory, in use or not."""
    with open("/proc/self/mounts", encoding="utf-8") as file:
        places = [line.split()[1] for line in file]
    for place in reversed([place for place in places if place.startswith(home + "/")]):
        subprocess.run(["umount", "--lazy", place], check=False)


class Tmpfs:
    """It stays mounted beside its place: so no watch below it ends when it is unmounted there."""

    def __init__(self, home):
        self.store = os.path.join(home, "store")
        os.mkdir(self.store)
        mount("-t", "tmpfs", "tmpfs", self.store)

    def attach(self, place):
        mount("--bind", self.store, place)

    @contextlib.contextmanager
    def elsewhere(self):
        """Where its files are while it is not in its place."""
        yield self.store

    def remount(self, place, how):
        mount("-o", f"remount,bind,{how}", place)


class Ext4:
    """An image: unmounted, it ends, and with it every watch."""

    def __init__(self, home):
        self.image, self.side = os.path.join(home, "image"), os.path.join(home, "side")
        os.mkdir(self.side)
        with open(self.image, "wb") as file:
            file.truncate(64 << 20)
        if shutil.which("mkfs.ext4") is None:
            raise Skipped("there is no mkfs.ext4")
        subprocess.run(["mkfs.ext4", "-q", self.image], check=True)

    def attach(self, place):
        mount("-o", "loop", self.image, place)

    @contextlib.contextmanager
    def elsewhere(self):
        self.attach(self.side)
        yield self.side
        unmount(self.side)

    def remount(self, place, how):
        mount("-o", f"remount,{how}", place)


# -- a world -----------------------------------------------------------------------
class World:
    """Agents below one place, and a second scan root where a copy claims the id of the first."""

    def __init__(self, args, home, root, place):
        self.root, self.place, self.other = root, place, os.path.join(home, "other")
        self.projects = [os.path.join(place, "ns", f"p{number:04d}") for number in range(args.agents)]
        for number, project in enumerate(self.projects):
            write(project, new_manifest(number))
        self.at = {load(project)["id"]: project for project in self.projects}
        flags = ("--sweep-interval", "1h", "--grace-period", f"{GRACE:g}s")
        self.meshd = Meshd(args.meshd, [root, self.other], home, *flags)
        # Of two that are found in one pass the lower path wins, and this is the higher one.
        self.copy = os.path.join(self.other, "copy")
        shutil.copytree(self.projects[0], self.copy)

    def rows(self):
        """The rows of the agents that are expected, by id."""
        return {row["id"]: row for row in self.meshd.agents() if row["id"] in self.at}

    def are(self, status, reason=None):
        """Whether all of them are there, where they were, with this status."""
        rows = self.rows()
        return set(rows) == set(self.at) and all(
            row["status"] == status and row["projectPath"] == self.at[row["id"]] and
            (reason is None or row["unreachableReason"] == reason) for row in rows.values())

    def offline(self, what):
        """All are unreachable, for the reason that their root is away, and it says so."""
        told(what, until(f"{what}: root_offline", lambda: self.are("unreachable", "root_offline") and
                         self.meshd.root(self.root)["state"] == "offline")[1])

    def online(self, what):
        told(what, until(f"{what}: active", lambda: self.are("active") and
                         self.meshd.root(self.root)["state"] == "online")[1])
        self.heard()

    def heard(self):
        """It is watched again: an edit and a new project are found."""
        project = self.projects[-1]
        manifest = load(project)
        save(project, {**manifest, "name": manifest["name"] + "+"})
        until("an edit", lambda: self.meshd.agent(manifest["id"])["name"] == manifest["name"] + "+")
        self.add(self.place)
        until("a new project", lambda: self.are("active"))

    def add(self, place):
        """A new agent, written below a place where the drive is at the moment."""
        manifest = new_manifest(len(self.at))
        path = os.path.join("new", f"p{len(self.at):04d}")
        write(os.path.join(place, path), manifest)
        self.at[manifest["id"]] = os.path.join(self.place, path)

    def edited_elsewhere(self, drive):
        """An edit and a new project that nobody could see."""
        with drive.elsewhere() as place:
            project = os.path.join(place, os.path.relpath(self.projects[1], self.place))
            save(project, {**load(project), "name": "edited while it was away"})
            self.add(place)

    def steadfast(self):
        """Past the grace period, each is still unreachable, and where it was."""
        since, passes = time.monotonic(), 0
        before = {agent_id: row["projectPath"] for agent_id, row in self.rows().items()}
        while time.monotonic() - since < 2 * GRACE or passes < 3:
            self.meshd.answer("reconcile")
            passes += 1
            now = self.rows()
            if {agent_id: row["projectPath"] for agent_id, row in now.items()} != before:
                raise Failed(f"after {passes} passes: {len(before)} agents, {len(now)} are left, and of the first "
                             f"is said: {now.get(next(iter(self.at)))}")
            if active := [row["id"] for row in now.values() if row["status"] != "unreachable"]:
                raise Failed(f"after {passes} passes while it is away, active: {active}")

    def finish(self):
        self.meshd.same_as_disk()
        self.meshd.quiet()
        self.meshd.nothing_to_do()
        for name in ("agent.removed", "agent.relocated"):
            if events := self.meshd.told(name):
                raise Failed(f"{len(events)} times {name}, first {events[0]}")
        offline, online = (len(self.meshd.told(name)) for name in ("root.offline", "root.online"))
        print(f"    {len(self.at)} agents at the end, {offline} times root.offline, {online} times root.online")
        finish(self.meshd)


@contextlib.contextmanager
def world(args, home, below="", drive=None):
    """A world on a drive that is mounted at its scan root or below it, or on none; and its daemon."""
    root = os.path.join(home, "above", "tree")
    place = os.path.join(root, below)
    os.makedirs(place)
    try:
        drive = drive(home) if drive else None
        if drive:
            drive.attach(place)
        made = World(args, home, root, place.rstrip("/"))
        try:
            told(f"start with {args.agents} agents, until it is ready", made.meshd.start().ready())
            until("all are active", lambda: made.are("active"))
            yield made, drive
            made.finish()
        finally:
            made.meshd.close()
    finally:
        unmount_all(home)


# -- a scan root on a drive ----------------------------------------------------------
def at_root(kind):
    def part(args, home):
        with world(args, home, drive=kind) as (made, drive):
            root = made.root
            unmount(root)
            made.offline("unmounted: root_offline")
            made.steadfast()
            made.edited_elsewhere(drive)
            drive.attach(root)
            made.online("mounted again: active")
            if made.meshd.agent(load(made.projects[1])["id"])["name"] != "edited while it was away":
                raise Failed("what was edited meanwhile was not looked at")
            mount("-t", "tmpfs", "tmpfs", root)
            made.offline("mounted over: root_offline")
            made.steadfast()
            unmount(root)
            made.online("what was mounted over it is gone: active")
            drive.remount(root, "ro")
            made.meshd.nothing_to_do()
            if not made.are("active"):
                raise Failed("read-only, and so not active any more")
            drive.remount(root, "rw")
            made.heard()
    return part


# -- a scan root that changes ----------------------------------------------------------
def replaced_by(make):
    """Something else comes where the root was."""
    def do(root):
        os.rename(root, root + ".away")
        make(root)
    return do


def put_back(root):
    if os.path.isdir(root) and not os.path.islink(root):
        os.rmdir(root)
    elif os.path.lexists(root):
        os.unlink(root)
    os.rename(root + ".away", root)


def link_to_nothing_much(root):
    os.mkdir(root + ".empty")
    os.symlink(root + ".empty", root)


def above_renamed(root):
    os.rename(os.path.dirname(root), os.path.dirname(root) + ".away")


def above_back(root):
    os.rename(os.path.dirname(root) + ".away", os.path.dirname(root))


CHANGES = [
    ("renamed away", lambda root: os.rename(root, root + ".away"), put_back),
    ("the directory above renamed away", above_renamed, above_back),
    ("replaced by an empty directory", replaced_by(os.mkdir), put_back),
    ("replaced by a file", replaced_by(os.mknod), put_back),
    ("replaced by a link to an empty directory", replaced_by(link_to_nothing_much), put_back),
    ("replaced by a link to nothing", replaced_by(lambda root: os.symlink("nothing", root)), put_back),
]


def roots(args, home):
    with world(args, home) as (made, _):
        for what, do, undo in CHANGES:
            do(made.root)
            made.offline(what)
            made.steadfast()
            undo(made.root)
            made.online("and back")
        # Who deletes a project means it, and its copy would be the agent now.
        shutil.rmtree(made.copy)
        shutil.copytree(made.root, made.root + ".backup")
        shutil.rmtree(made.root)
        # On ext4 it has the same inode again.
        os.mkdir(made.root)
        made.offline("deleted and made anew")
        made.steadfast()
        shutil.copytree(made.root + ".backup", made.root, dirs_exist_ok=True)
        made.online("and restored")


def missing(args, home):
    with world(args, home) as (made, _):
        made.meshd.stop()
        above_renamed(made.root)
        made.meshd.start().ready()
        made.offline("not there at the start, nor what is above it")
        made.steadfast()
        above_back(made.root)
        made.online("it appears")
    never = os.path.join(home, "not", "yet")
    meshd = Meshd(args.meshd, [never], os.path.join(home, "other"), "--sweep-interval", "1h")
    try:
        meshd.start().ready()
        write(os.path.join(never, "ns", "p"), new_manifest(1))
        told("a root that never was is made, with an agent",
             until("its agent is there", lambda: [row["status"] for row in meshd.agents()] == ["active"])[1])
        finish(meshd)
    finally:
        meshd.close()


# -- a drive below a scan root -------------------------------------------------------
def below_root(kind):
    def part(args, home):
        with world(args, home, "usb", kind) as (made, drive):
            for what, deleted in (("unmounted", False), ("unmounted, its mount point deleted", True)):
                unmount(made.place)
                if deleted:
                    os.rmdir(made.place)
                away(made, what)
                made.steadfast()
                made.edited_elsewhere(drive)
                os.makedirs(made.place, exist_ok=True)
                drive.attach(made.place)
                made.online("mounted again: active")
    return part


def away(made, what):
    told(f"{what}: unreachable", until(f"{what}: unreachable", lambda: made.are("unreachable"))[1])
    print(f"    reason: {', '.join(sorted({row['unreachableReason'] for row in made.rows().values()}))}; "
          f"the root is {made.meshd.root(made.root)['state']}")


def restart(args, home):
    with world(args, home, "usb", Ext4) as (made, drive):
        made.meshd.stop()
        unmount(made.place)
        made.meshd.start().ready()
        away(made, "unmounted before the start")
        made.steadfast()
        drive.attach(made.place)
        made.online("mounted again: active")


def main():
    if "MESHD_MOUNTS" not in os.environ:
        user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        os.execvpe("unshare", ["unshare", *user, "--mount", "--propagation", "private", sys.executable, *sys.argv],
                   {**os.environ, "MESHD_MOUNTS": "private"})
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=50, help="how many")
    return run_parts(parser, {"tmpfs": at_root(Tmpfs), "ext4": at_root(Ext4), "roots": roots, "missing": missing,
                              "below": below_root(Tmpfs), "below-ext4": below_root(Ext4), "restart": restart})


if __name__ == "__main__":
    sys.exit(main())
