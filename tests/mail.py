#!/usr/bin/env python3
"""mail.py: the embedded relay at size, with the real binary.

  tests/mail.py [--agents N] [--messages N] [--meshd FILE] [--keep]

  cold      endpoints and rules of N agents, made from nothing: what that costs against no relay
  steady    sweeps over them: no byte is written, and what they cost against no relay, in time and in processor time
  messages  sent to one agent and taken from it by four processes at once: none is lost, none comes twice

Exit status: 0 all hold, 1 not.
"""
import argparse
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from live import Failed, Meshd, default_binary, tool

# Design and issue: endpoints for 10,000 agents cost at most a second, a steady sweep at most 1.3 times itself.
COLD_SECONDS, STEADY_RATIO = 1.0, 1.3
ROUNDS, SENDERS = 15, 4


def cold(args, tree, home):
    """The first pass over everything, to its end, once with each relay in turn."""
    took = {"none": [], "local": []}
    for turn in range(3):
        for relay in took:
            state = os.path.join(home, f"cold-{relay}-{turn}")
            begun = time.monotonic()
            subprocess.run([args.meshd, "reconcile", tree, "--relay", relay, "--state-dir", state], check=True,
                           stdout=subprocess.DEVNULL)
            took[relay].append(time.monotonic() - begun)
            if relay == "local":
                connection = sqlite3.connect(os.path.join(state, "relay.db"))
                endpoints, = connection.execute("SELECT count(*) FROM endpoints").fetchone()
                connection.close()
                if endpoints != args.agents:
                    raise Failed(f"{endpoints} endpoints for {args.agents} agents")
            shutil.rmtree(state)
    more = min(took["local"]) - min(took["none"])
    print(f"cold: {min(took['none']) * 1000:.0f} ms without a relay, {min(took['local']) * 1000:.0f} ms with it: "
          f"{more * 1000:+.0f} ms for {args.agents} endpoints and their rules")
    if more > COLD_SECONDS:
        raise Failed(f"that is more than {COLD_SECONDS:g} s")


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def written(pid):
    with open(f"/proc/{pid}/io", encoding="ascii") as file:
        return {line.split(":")[0]: int(line.split(":")[1]) for line in file}["wchar"]


def files(state):
    """Every file of the state directory with what a write would change."""
    found = {}
    for directory, _, names in os.walk(state):
        for name in names:
            stat = os.stat(os.path.join(directory, name))
            found[os.path.join(directory, name)] = (stat.st_size, stat.st_mtime_ns, stat.st_ino)
    return found


def steady(args, tree, home):
    sweeps, cpu = {}, {}
    for relay in ("none", "local"):
        place = os.path.join(home, relay)
        os.makedirs(place)
        meshd = Meshd(args.meshd, [tree], place, "--relay", relay, "--sweep-interval", "1h")
        try:
            meshd.start().ready()
            # Manifests that were made just now are read again until their times are old enough to vouch for them.
            time.sleep(3)
            for _ in range(3):
                meshd.answer("reconcile")
            time.sleep(2)
            before, io, begun, took = files(meshd.state_dir), written(meshd.process.pid), cpu_seconds(meshd.process.pid), []
            for _ in range(ROUNDS):
                meshd.nothing_to_do()
                took.append(meshd.answer("status")["daemon"]["lastSweep"]["tookMs"])
            # The relay's thread looks on after the answer.
            time.sleep(0.5)
            cpu[relay] = (cpu_seconds(meshd.process.pid) - begun) / ROUNDS * 1000
            changed = [path for path, was in files(meshd.state_dir).items()
                       if before.get(path) != was and not path.endswith(("-shm", "canary"))]
            if changed:
                raise Failed(f"{ROUNDS} idle sweeps wrote to {', '.join(changed)}")
            sweeps[relay] = statistics.median(took)
            # Answers on the socket, and nothing else.
            print(f"steady, relay {relay}: median of {ROUNDS} sweeps {sweeps[relay]:.1f} ms, {cpu[relay]:.1f} ms of processor "
                  f"time each, no file written, {(written(meshd.process.pid) - io) / ROUNDS:.0f} bytes of answers each")
            meshd.stop()
        finally:
            meshd.close()
    ratio = sweeps["local"] / sweeps["none"]
    print(f"steady: {ratio:.2f} times the sweep without a relay, {cpu['local'] / cpu['none']:.2f} times its processor time")
    if ratio > STEADY_RATIO:
        raise Failed(f"that is more than {STEADY_RATIO:g} times")


def messages(args, home):
    tree, state = os.path.join(home, "few", "tree"), os.path.join(home, "few", "state")
    for name in ("from", "to"):
        os.makedirs(os.path.join(tree, "ns", name, ".dork"))
        with open(os.path.join(tree, "ns", name, ".dork", "agent.json"), "w", encoding="utf-8") as file:
            json.dump({"id": name, "name": name, "runtime": "codex", "registeredAt": "2026-01-01T00:00:00.000Z",
                       "registeredBy": "mail"}, file)
    subprocess.run([args.meshd, "reconcile", tree, "--state-dir", state], check=True, stdout=subprocess.DEVNULL)
    sending, taken, wrong = threading.Event(), [], []
    sending.set()

    def meshd(*arguments, **more):
        return subprocess.run([args.meshd, *arguments, "--state-dir", state], capture_output=True, check=False, **more)

    def send(sender):
        for number in range(args.messages // SENDERS):
            done = meshd("send", "to", "--from", "from", input=f"{sender} {number}".encode())
            if done.returncode != 0:
                wrong.append(done.stderr.decode("utf-8", "replace"))

    def take():
        while True:
            was_sending = sending.is_set()
            done = meshd("inbox", "to", "--take", "--json", stdin=subprocess.DEVNULL)
            if done.returncode != 0:
                wrong.append(done.stderr.decode("utf-8", "replace"))
            lines = done.stdout.splitlines()
            taken.extend(json.loads(line)["body"] for line in lines)
            if not lines and not was_sending:
                return

    begun = time.monotonic()
    senders = [threading.Thread(target=send, args=(sender,)) for sender in range(SENDERS)]
    takers = [threading.Thread(target=take) for _ in range(SENDERS)]
    for thread in senders + takers:
        thread.start()
    for thread in senders:
        thread.join()
    sending.clear()
    for thread in takers:
        thread.join()
    sent = {f"{sender} {number}" for sender in range(SENDERS) for number in range(args.messages // SENDERS)}
    if wrong:
        raise Failed(f"{len(wrong)} calls failed, the first: {wrong[0]}")
    if sorted(taken) != sorted(sent):
        raise Failed(f"{len(sent - set(taken))} lost, {len(taken) - len(set(taken))} twice")
    print(f"messages: {len(taken)} sent and taken by {SENDERS} processes each, none lost, none twice, "
          f"{time.monotonic() - begun:.1f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=int, default=10_000)
    parser.add_argument("--messages", type=int, default=1_000)
    parser.add_argument("--meshd", default=default_binary())
    parser.add_argument("--keep", action="store_true")
    args = parser.parse_args()
    home = tempfile.mkdtemp(prefix="meshd-mail-")
    try:
        tree = os.path.join(home, "tree")
        subprocess.run([sys.executable, tool("mktree.py"), tree, str(args.agents)], check=True, stdout=subprocess.DEVNULL)
        cold(args, tree, home)
        steady(args, tree, home)
        messages(args, home)
    except Failed as failed:
        print(f"does not hold: {failed}")
        return 1
    finally:
        if not args.keep:
            shutil.rmtree(home, ignore_errors=True)
    print("all hold")
    return 0


if __name__ == "__main__":
    sys.exit(main())
