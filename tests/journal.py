#!/usr/bin/env python3
"""journal.py: what the journal has of meshd, and what it is asked: every line of a meshd that really runs.

  tests/journal.py [PART…] [--meshd FILE] [--keep]

The daemon logs to a socket where journald would listen. Every event must have the fields that apply, its priority and an
explanation in the message catalog. Of the lines a journal is made as journald would, and every journalctl command of
monitoring/README.md must find what it names there and nothing else, and explain it whole.

And a journal that takes nothing holds nobody up.

It needs a mount namespace of its own and Debian's systemd-journal-remote, or is skipped. Exit status: 0 all hold, 1 not.
"""
import argparse
import array
import collections
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import time

from live import TOP, Failed, Skipped, run_parts, until
from monitoring import MONITORING, run, running, same
from show import manifest_of, new_manifest, write

CATALOG = os.path.join(TOP, "systemd", "meshd.catalog")
REMOTE = "/lib/systemd/systemd-journal-remote"

# Kinds of events that a person should look at: warnings in the log.
WARNINGS = {"manifest.unreadable", "manifest.duplicate_id", "root.offline", "root.degraded", "watch.overflow",
            "watch.limit", "relay.failed"}


class Journal:
    """What listens where journald would: keeps what it is sent."""

    def __init__(self, home):
        self.directory = os.path.join(home, "journal")
        os.mkdir(self.directory)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(os.path.join(self.directory, "socket"))
        self.entries = []
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            try:
                payload, extra, _, _ = self.socket.recvmsg(1 << 20, socket.CMSG_SPACE(4))
            except OSError:
                return
            for _, _, data in extra:
                # What is too large for a datagram comes in a file.
                descriptor = array.array("i", data[:4])[0]
                with open(descriptor, "rb") as file:
                    file.seek(0)
                    payload = file.read()
            if payload:
                self.entries.append((time.time(), fields(payload)))

    def told(self, name):
        return [entry for _, entry in self.entries if ("EVENT", name) in entry]


def fields(payload):
    """The fields of one entry in journald's own protocol."""
    found = []
    while payload:
        line, _, rest = payload.partition(b"\n")
        key, is_text, value = line.partition(b"=")
        if is_text:
            payload = rest
        else:
            size = int.from_bytes(rest[:8], "little")
            value, payload = rest[8:8 + size], rest[9 + size:]
        found.append((key.decode("ascii"), value.decode("utf-8")))
    return found


def in_own_mounts(script, *arguments):
    """A command that is run after `script` has changed what is mounted, for itself alone."""
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", *user, "--mount", "--propagation", "private", "sh", "-ec", script + '; exec "$@"', *arguments]


def message_ids():
    with open(CATALOG, encoding="utf-8") as file:
        return set(re.findall(r"^-- ([0-9a-f]{32})$", file.read(), re.MULTILINE))


def check_fields(entry):
    """What must be on the line of an event."""
    found = dict(entry)
    name = found["EVENT"]
    if empty := [key for key, value in entry if not value]:
        raise Failed(f"{name}: {empty} say nothing")
    wanted = {"MESSAGE", "MESSAGE_ID", "PRIORITY", "SYSLOG_IDENTIFIER"}
    if name.startswith("agent."):
        wanted |= {"AGENT_ID", "PROJECT_PATH", "SCAN_ROOT"}
    if name.startswith("manifest."):
        wanted |= {"PROJECT_PATH", "WHY"}
    if name.startswith("root."):
        wanted |= {"SCAN_ROOT"}
    if name in WARNINGS:
        wanted |= {"WHY"}
    if name == "agent.unreachable":
        wanted |= {"REASON"}
    if missing := wanted - set(found):
        raise Failed(f"the line of {name} has no {', '.join(sorted(missing))}")
    same(f"the priority of {name}", found["PRIORITY"], "4" if name in WARNINGS else "6")
    same("the identifier", found["SYSLOG_IDENTIFIER"], "meshd")
    if found["MESSAGE_ID"] not in message_ids():
        raise Failed(f"the catalog does not explain {name}")


def export(entries, replaced, path):
    """Writes entries as `journalctl -o export` would, with what journald adds, as if they came from other paths."""
    with open(path, "wb") as file:
        for number, (at, entry) in enumerate(entries):
            added = [("__REALTIME_TIMESTAMP", str(int(at * 1e6))), ("__MONOTONIC_TIMESTAMP", str(number + 1)),
                     ("_BOOT_ID", "0123456789abcdef" * 2), ("_MACHINE_ID", "fedcba9876543210" * 2),
                     ("_HOSTNAME", "laptop"), ("_PID", "77"), ("_UID", str(os.geteuid())), ("_TRANSPORT", "journal"),
                     ("_SYSTEMD_UNIT", "meshd.service"), ("_SYSTEMD_USER_UNIT", "meshd.service")]
            for key, value in added + entry:
                for there, here in replaced.items():
                    value = value.replace(there, here)
                data = value.encode("utf-8")
                if b"\n" in data:
                    file.write(key.encode("ascii") + b"\n" + len(data).to_bytes(8, "little") + data + b"\n")
                else:
                    file.write(key.encode("ascii") + b"=" + data + b"\n")
            file.write(b"\n")


def recipes():
    """Every journalctl line of the README, in words."""
    with open(os.path.join(MONITORING, "README.md"), encoding="utf-8") as file:
        lines = re.findall(r"^\$ (journalctl .*)$", file.read(), re.MULTILINE)
    if len(lines) < 10:
        raise Failed("the README has hardly a journalctl line")
    return [shlex.split(line) for line in lines]


def check_recipe(words, journal, explained):
    """It selects something, and nothing else than what it names; what is explained is explained whole."""
    # What follows does not end.
    words = [word for word in words[1:] if word != "-f"]
    for scope in (words, [word for word in words if word != "--user"]):
        said = run(*explained, "journalctl", "--file", journal, "--no-pager", "-q", *scope)
        if not said.strip():
            raise Failed(f"journalctl {' '.join(words)} finds nothing")
        if "-x" in scope and ("░░ Defined-By: meshd" not in said or re.search(r"░░.*@[A-Z_]+@", said)):
            raise Failed(f"journalctl {' '.join(words)} explains nothing, or not whole:\n{said}")
        plain = [word for word in scope if word not in ("-o", "json", "-x") and not word.startswith("--output-fields")]
        found = [json.loads(line) for line in
                 run("journalctl", "--file", journal, "--no-pager", "-q", *plain, "-o", "json").splitlines()]
        named = collections.defaultdict(set)
        for word in plain:
            if match := re.fullmatch(r"([A-Z_]+)=(.*)", word):
                named[match[1]].add(match[2])
        for entry in found:
            if any(entry[key] not in values for key, values in named.items()):
                raise Failed(f"journalctl {' '.join(words)} finds {entry['MESSAGE']}")


def everything(args, home):
    if not os.path.exists(REMOTE):
        raise Skipped("there is no systemd-journal-remote")
    if subprocess.run(in_own_mounts("mount -t tmpfs tmpfs /run", "sh", "true"), stderr=subprocess.DEVNULL,
                      check=False).returncode != 0:
        raise Skipped("nothing can be mounted here")
    projects, usb = os.path.join(home, "projects"), os.path.join(home, "usb")
    shop, oncall = os.path.join(projects, "shop"), os.path.join(usb, "oncall")
    write(shop, new_manifest(1, id="01KKTENMHW56AXGXS6V8QZAYDG"))
    write(oncall, new_manifest(2, id="01KKVGEKVRJ6JDDY99M68S569C"))
    write(os.path.join(projects, "gone"), new_manifest(3))
    listener = Journal(home)
    here = 'mount -t tmpfs tmpfs /run; mkdir /run/systemd; ln -s "$0" /run/systemd/journal'
    inside, flags = in_own_mounts(here, listener.directory), ("--log-format", "journald", "--grace-period", "1s")
    with running(args, home, projects, usb, flags=flags, inside=inside) as meshd:
        def comes(name, count=1):
            until(f"{name} is told", lambda: len(listener.told(name)) >= count)
        write(shop, new_manifest(1, id="01KKTENMHW56AXGXS6V8QZAYDG", description="better"))
        comes("agent.synced")
        os.rename(usb, usb + ".away")
        comes("root.offline")
        comes("agent.unreachable")
        os.rename(usb + ".away", usb)
        comes("root.online", 3)
        comes("agent.reachable")
        os.rename(usb, usb + ".away")
        comes("root.offline", 2)
        shutil.copytree(shop, os.path.join(projects, "copy"))
        comes("manifest.duplicate_id")
        with open(manifest_of(os.path.join(projects, "copy")), "w", encoding="utf-8") as file:
            file.write("{")
        comes("manifest.unreadable")
        os.rename(os.path.join(projects, "gone"), os.path.join(projects, "moved"))
        comes("agent.relocated")
        os.unlink(manifest_of(os.path.join(projects, "moved")))
        comes("agent.unreachable", 3)

        def removed():
            meshd.answer("reconcile")
            return listener.told("agent.removed")
        until("the grace period is over", removed, again=0.5)
        meshd.command("unregister", shop)
        comes("agent.unregistered")
    events = [entry for _, entry in listener.entries if "EVENT" in dict(entry)]
    if not any(dict(entry)["EVENT"] == "daemon.stopping" for entry in events):
        raise Failed("the last event did not come")
    for entry in events:
        check_fields(entry)
    listener.socket.close()
    path = os.path.join(home, "meshd.export")
    export(listener.entries, {projects: "/home/ann/projects", usb: "/mnt/usb"}, path)
    journal_file = os.path.join(home, "meshd.journal")
    run(REMOTE, "-o", journal_file, path)
    root = os.path.join(home, "root")
    catalog = os.path.join(root, "usr", "lib", "systemd", "catalog")
    os.makedirs(catalog)
    shutil.copy(CATALOG, catalog)
    run("journalctl", f"--root={root}", "--update-catalog")
    database = os.path.join(root, "var", "lib", "systemd", "catalog")
    explained = in_own_mounts('mount -t tmpfs tmpfs /var/lib/systemd; cp -r "$0" /var/lib/systemd/catalog', database)
    listed = run(*explained, "journalctl", "--list-catalog").splitlines()
    same("entries of the catalog", len(listed), len(message_ids()))
    for words in recipes():
        check_recipe(words, journal_file, explained)
    print(f"  {len(events)} events of {len({dict(entry)['EVENT'] for entry in events})} kinds, {len(recipes())} recipes")


def hangs(args, home):
    """A journal that takes nothing: every change is committed, and the daemon ends when it is told to."""
    project = os.path.join(home, "projects", "p")
    write(project, new_manifest(1))
    journal = os.path.join(home, "journal")
    os.mkdir(journal)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unread:
        unread.bind(os.path.join(journal, "socket"))
        here = 'mount -t tmpfs tmpfs /run; mkdir /run/systemd; ln -s "$0" /run/systemd/journal'
        with running(args, home, os.path.join(home, "projects"), flags=("--log-format", "journald"),
                     inside=in_own_mounts(here, journal)) as meshd:
            for number in range(1000):
                write(os.path.join(home, "projects", f"n{number}"), new_manifest(100 + number))
            until("every agent is there", lambda: len(meshd.agents()) == 1001)
            until("a command is answered", lambda: meshd.answer("status")["daemon"]["running"])
    print("  1,000 agents are there although the journal takes nothing")


def main():
    parts = {"everything": everything, "hangs": hangs}
    return run_parts(argparse.ArgumentParser(description=__doc__), parts)


if __name__ == "__main__":
    sys.exit(main())
