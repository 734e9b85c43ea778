#!/usr/bin/env python3
"""roots.py: scan roots that go away and come back, with the real binary: none of theirs is removed or goes elsewhere.

  tests/roots.py [PART…] [--agents N] [--meshd FILE] [--keep]

  replaced   a scan root that is renamed, replaced by something else, deleted and made anew
  missing    a scan root that is not there at the start

`away.py` says what must hold. At full size: --agents 1000. Exit status: 0 all hold, 1 not.
"""
import argparse
import os
import shutil
import sys

from away import World
from live import Meshd, run_parts, until
from show import finish, new_manifest, told, write


def world(args, home):
    root = os.path.join(home, "above", "tree")
    return World(args, home, root, root).run()


# -- replaced ------------------------------------------------------------------------
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


def replaced(args, home):
    with world(args, home) as made:
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


# -- missing -------------------------------------------------------------------------
def missing(args, home):
    with world(args, home) as made:
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


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=50, help="how many")
    return run_parts(parser, {"replaced": replaced, "missing": missing})


if __name__ == "__main__":
    sys.exit(main())
