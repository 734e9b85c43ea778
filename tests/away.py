"""away.py: agents whose place goes away and comes back, for the proofs about scan roots and drives.

What is away is unreachable, and stays what and where it is: past the grace period, however often everything is looked
at, and although a copy elsewhere claims the id of one. The next sweep is an hour away: all is noticed by itself.
"""
import collections
import contextlib
import os
import shutil
import time

from live import Failed, Meshd, until
from show import finish, load, new_manifest, save, told, write

# In seconds. What is away stays away for longer than that.
GRACE = 1.0


class World:
    """Agents below one place, and a second scan root where a copy claims the id of the first; and a daemon for them."""

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

    @contextlib.contextmanager
    def run(self):
        """The daemon runs, and has found all of them; at the end nothing was removed, and nothing is left to do."""
        try:
            told(f"start with {len(self.projects)} agents, until it is ready", self.meshd.start().ready())
            self.become("all are active", "active")
            yield self
            self.finish()
        finally:
            self.meshd.close()

    def rows(self):
        """The rows of the agents that are expected, by id."""
        return {row["id"]: row for row in self.meshd.agents() if row["id"] in self.at}

    def are(self, status, reason=None):
        """Whether all of them are there, where they were, with this status."""
        rows = self.rows()
        return set(rows) == set(self.at) and all(
            row["status"] == status and row["projectPath"] == self.at[row["id"]] and
            (reason is None or row["unreachableReason"] == reason) for row in rows.values())

    def become(self, what, status, reason=None, root=None):
        """Waits until all of them have a status, and their root a state."""
        try:
            told(what, until(what, lambda: self.are(status, reason) and
                             (root is None or self.meshd.root(self.root)["state"] == root))[1])
        except Failed as failed:
            raise Failed(f"{failed}; {self.seen()}") from None

    def seen(self):
        """How many of them are in which state, for who reads that they are not in the right one."""
        rows = self.rows().values()
        states = collections.Counter((row["status"], row["unreachableReason"]) for row in rows)
        elsewhere = [row["projectPath"] for row in rows if row["projectPath"] != self.at[row["id"]]]
        return (f"of {len(self.at)} agents are {dict(states)}, elsewhere {elsewhere}; "
                f"the root is {self.meshd.root(self.root)['state']}")

    def offline(self, what):
        """All are unreachable, for the reason that their root is away, and it says so."""
        self.become(f"{what}: root_offline", "unreachable", "root_offline", "offline")

    def online(self, what):
        """All are active, what happened meanwhile is known, and what happens from now on is heard."""
        self.become(f"{what}: active", "active", root="online")
        self.meshd.same_as_disk()
        self.heard()

    def heard(self):
        """An edit and a new project are found."""
        project = self.projects[-1]
        manifest = load(project)
        save(project, {**manifest, "name": manifest["name"] + "+"})
        until("an edit", lambda: self.meshd.agent(manifest["id"])["name"] == manifest["name"] + "+")
        self.add(self.place)
        until("a new project", lambda: self.are("active"))

    def add(self, place):
        """A new agent, written where the files of its place are at the moment."""
        manifest = new_manifest(len(self.at))
        path = os.path.join("new", f"p{len(self.at):04d}")
        write(os.path.join(place, path), manifest)
        self.at[manifest["id"]] = os.path.join(self.place, path)

    def change(self, place):
        """An edit and a new agent, where the files of its place are while they are away."""
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
