#!/usr/bin/env python3
"""mounts.py: drives that go away and come back, with the real binary: nothing of theirs is removed or goes elsewhere.

  tests/mounts.py [PART…] [--agents N] [--meshd FILE] [--keep]

  tmpfs        a scan root on a drive: unmounted, mounted again, mounted over, read-only
  ext4         the same, where unmounting ends the file system: an image on a loop device
  below        a drive below a scan root, unmounted and mounted again, its mount point kept and deleted
  below-ext4   the same with a file system that ends
  restart      the daemon is started while such a drive is away

`away.py` says what must hold. Mounts are made in a namespace that ends with this program; a part that may not mount is
skipped. At full size: --agents 1000. Exit status: 0 all hold, 1 not.
"""
import argparse
import contextlib
import os
import subprocess
import sys

from away import World
from live import Failed, Skipped, run_parts, until


# -- drives ------------------------------------------------------------------------
def mount(*arguments):
    done = subprocess.run(["mount", *arguments], stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"mount {' '.join(arguments)}: {done.stderr.strip()}")


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


@contextlib.contextmanager
def world(args, home, kind, below=""):
    """Agents on a drive that is mounted at their scan root or below it, and the drive."""
    root = os.path.join(home, "above", "tree")
    place = os.path.join(root, below).rstrip("/")
    os.makedirs(place)
    try:
        try:
            drive = kind(home)
            drive.attach(place)
        except (Failed, FileNotFoundError) as why:
            raise Skipped(str(why)) from None
        with World(args, home, root, place).run() as made:
            yield made, drive
    finally:
        unmount_all(home)


# -- a scan root on a drive ----------------------------------------------------------
def at_root(kind):
    def part(args, home):
        with world(args, home, kind) as (made, drive):
            root = made.root
            unmount(root)
            made.offline("unmounted")
            made.steadfast()
            with drive.elsewhere() as files:
                made.change(files)
            drive.attach(root)
            made.online("mounted again")
            mount("-t", "tmpfs", "tmpfs", root)
            made.offline("mounted over")
            made.steadfast()
            unmount(root)
            made.online("what was mounted over it is gone")
            drive.remount(root, "ro")
            made.meshd.nothing_to_do()
            if not made.are("active"):
                raise Failed("read-only, and so not active any more")
            drive.remount(root, "rw")
            made.heard()
    return part


# -- a drive below a scan root -------------------------------------------------------
def below_root(kind):
    def part(args, home):
        with world(args, home, kind, "usb") as (made, drive):
            for what, deleted in (("unmounted", False), ("unmounted, its mount point deleted", True)):
                unmount(made.place)
                if deleted:
                    os.rmdir(made.place)
                away(made, what)
                made.steadfast()
                with drive.elsewhere() as files:
                    made.change(files)
                os.makedirs(made.place, exist_ok=True)
                drive.attach(made.place)
                made.online("mounted again")
    return part


def away(made, what):
    made.become(f"{what}: unreachable", "unreachable")
    print(f"    {made.seen()}")


def restart(args, home):
    with world(args, home, Ext4, "usb") as (made, drive):
        made.meshd.stop()
        unmount(made.place)
        made.meshd.start().ready()
        away(made, "unmounted before the start")
        made.steadfast()
        drive.attach(made.place)
        made.online("mounted again")


def main():
    if "MESHD_MOUNTS" not in os.environ:
        user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        os.execvpe("unshare", ["unshare", *user, "--mount", "--propagation", "private", sys.executable, *sys.argv],
                   {**os.environ, "MESHD_MOUNTS": "private"})
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=50, help="how many")
    return run_parts(parser, {"tmpfs": at_root(Tmpfs), "ext4": at_root(Ext4), "below": below_root(Tmpfs),
                              "below-ext4": below_root(Ext4), "restart": restart})


if __name__ == "__main__":
    sys.exit(main())
