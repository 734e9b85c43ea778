#!/usr/bin/env python3
"""chaos.py: the real binary, random changes to a real tree, and SIGKILL; then disk and registry must agree.

  tests/chaos.py [--seeds N] [--first-seed S] [--steps K] [--kills N] [--meshd FILE] [--keep]

For each seed: a daemon on an empty tree, the shared chaos.py on that tree, and with every second seed the daemon is
killed at random moments and started again. Afterwards the listing must settle on what the oracle reads from disk, a
reconcile must do nothing, with the daemon and without it, ids and paths must be unique, event numbers without gaps, and
SIGTERM must end the daemon in time. One line a seed; a seed that fails leaves everything behind and says where.

Exit status: 0 all hold, 1 at least one does not.
"""
import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

from live import Failed, Meshd, default_binary, tool


def run_seed(seed, args, home):
    """One seed; returns what there is to tell."""
    tree = os.path.join(home, "tree")
    os.mkdir(tree)
    rng = random.Random(f"kills {seed}")
    kills = sorted(rng.sample(range(args.steps), args.kills)) if seed % 2 == 0 else []
    meshd = Meshd(args.meshd, [tree], home).start()
    try:
        meshd.ready()
        change(tree, seed, args, os.path.join(home, "chaos.log"), kills, meshd)
        took = meshd.quiet(args.deadline)
        meshd.nothing_to_do()
        meshd.consistent()
        agents, events = meshd.agents(), len(meshd.events())
        stopped = meshd.stop()
        # The same without a daemon: what is on disk is what a fresh process finds, too.
        meshd.nothing_to_do()
        if differences := meshd.differences():
            raise Failed("\n  ".join(["without the daemon, listing and disk differ", *differences[:20]]))
        meshd.sound()
    finally:
        meshd.close()
    unreachable = sum(agent["status"] == "unreachable" for agent in agents)
    killed = f"killed at step {', '.join(map(str, kills))}" if kills else "not killed"
    return (f"{len(agents)} agents ({unreachable} unreachable), {events} events, {killed}, "
            f"settled in {took:.2f} s, stopped in {stopped:.2f} s")


def change(tree, seed, args, log, kills, meshd):
    """Runs the shared chaos.py; kills the daemon and starts it again when the steps in `kills` are done."""
    command = [sys.executable, tool("chaos.py"), tree, "--seed", str(seed), "--steps", str(args.steps),
               "--pause", str(args.pause)]
    with open(log, "w", encoding="utf-8") as out:
        chaos = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace")
        with chaos:
            for step, line in enumerate(chaos.stdout):
                out.write(line)
                if step in kills:
                    meshd.kill()
                    meshd.start()
    if chaos.returncode != 0:
        raise Failed(f"chaos.py ended with {chaos.returncode}")
    if meshd.process.poll() is not None:
        raise Failed(f"the daemon ended with {meshd.process.returncode}: {meshd.last_words()}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="how many")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=300, help="changes a seed")
    parser.add_argument("--pause", type=float, default=0.005, help="seconds between two changes")
    parser.add_argument("--kills", type=int, default=1, help="how often a daemon is killed, where it is")
    parser.add_argument("--deadline", type=float, default=20.0, help="seconds to settle in")
    parser.add_argument("--meshd", default=default_binary(), help="the binary")
    parser.add_argument("--keep", action="store_true", help="leave the evidence of seeds that hold, too")
    args = parser.parse_args()
    failed = []
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        home = tempfile.mkdtemp(prefix=f"meshd-chaos-{seed}-")
        start = time.monotonic()
        try:
            told = run_seed(seed, args, home)
        except (Failed, subprocess.TimeoutExpired) as error:
            failed.append(seed)
            print(f"seed {seed}: FAILED: {error}\n  evidence: {home}", flush=True)
            continue
        print(f"seed {seed}: ok: {told} ({time.monotonic() - start:.1f} s)", flush=True)
        if args.keep:
            print(f"  evidence: {home}")
        else:
            shutil.rmtree(home)
    print(f"{args.seeds - len(failed)} of {args.seeds} seeds hold" + (f", not: {failed}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
