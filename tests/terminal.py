#!/usr/bin/env python3
"""terminal.py: `meshd top` in a real terminal, as somebody sees and uses it.

  tests/terminal.py [--meshd FILE] [--keep] [PART …]

The terminal is tmux's, on a server of its own. What must be seen is waited for; what is left of the terminal afterwards
is looked at, too. It needs tmux, or is skipped. Exit status: 0 all hold, 1 not.
"""
import argparse
import contextlib
import os
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys

from live import Failed, Meshd, Skipped, run_parts, tool, until
from show import manifest_of, new_manifest, write

# What a shell of ours prints once the program in it has ended, with how it ended, or was stopped.
ENDED = "ended with "
STOPPED = "stopped by "

# A colour of text or ground, as a terminal is told it: 30 to 49 and 90 to 107, but for the ordinary ones, 39 and 49.
COLOUR = re.compile(r"\x1b\[(?:[0-9;]*;)?(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])[;m]")


class Terminal:
    """One terminal with one command in it, run by a shell that goes on after it."""

    def __init__(self, home, command, width=80, height=24, **environment):
        if not shutil.which("tmux"):
            raise Skipped("there is no tmux")
        self.tmux = ["tmux", "-f", "/dev/null", "-S", os.path.join(home, "tmux")]
        given = " ".join(f"{key}={shlex.quote(value)}" for key, value in environment.items())
        # The process's number is told, so that it can be sent a signal.
        look = "stty -a | grep -o -- '[-]*icanon'"
        file = shlex.quote(os.path.join(home, "pid"))
        # In the foreground from its first moment: what takes the terminal in the background leaves its modes to the shell.
        begin = f"{given} sh -c 'echo $$ >\"$0\"; exec \"$@\"' {file} {shlex.join(command)}; how=$?; pid=$(cat {file}); "
        script = f"{begin} while kill -0 $pid; do clear; echo '{STOPPED}'$((how - 128)); {look}; read; fg; how=$?; " \
                 f"done 2>/dev/null; echo '{ENDED}'$how; {look}; exec cat"
        self.pid_file = os.path.join(home, "pid")
        subprocess.run([*self.tmux, "new-session", "-d", "-x", str(width), "-y", str(height),
                        f"bash -m -c {shlex.quote(script)}"], check=True, env={**os.environ, "TERM": "xterm-256color"})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run([*self.tmux, "kill-server"], stderr=subprocess.DEVNULL, check=False)

    def screen(self, *flags):
        return subprocess.run([*self.tmux, "capture-pane", "-p", *flags], check=True, capture_output=True).stdout.decode()

    def press(self, *keys):
        subprocess.run([*self.tmux, "send-keys", *keys], check=True)

    def resize(self, width, height):
        subprocess.run([*self.tmux, "resize-window", "-x", str(width), "-y", str(height)], check=True)

    def sees(self, *parts):
        def look():
            screen = self.screen()
            return screen if all(part in screen for part in parts) else None
        try:
            return until(f"{parts} on the screen", look, again=0.05)[0]
        except Failed as error:
            raise Failed(f"{error}:\n{self.screen()}") from None

    def sees_no_more(self, part):
        until(f"{part!r} is gone from the screen", lambda: part not in self.screen(), again=0.05)

    def pid(self):
        return int(until("the process's number", lambda: os.path.exists(self.pid_file) and open(self.pid_file).read())[0])

    def is_given_back(self, how, what=ENDED):
        """The program ended so, the lines of the shell are there again, and the terminal reads lines again."""
        screen = self.sees(f"{what}{how}")
        if "agents" in screen or "-icanon" in self.sees("icanon"):
            raise Failed(f"the terminal was not given back:\n{screen}")


def registry(args, home, agents):
    """A registry with so many agents, and no daemon."""
    root = os.path.join(home, "root")
    os.mkdir(root)
    if agents:
        subprocess.run([sys.executable, tool("mktree.py"), root, str(agents)], check=True, stdout=subprocess.DEVNULL)
    state = os.path.join(home, "state")
    subprocess.run([args.meshd, "reconcile", root, "--state-dir", state, "--log-level", "error"], check=True,
                   stdout=subprocess.DEVNULL)
    return root, [args.meshd, "top", "--state-dir", state]


def sizes(args, home):
    """Every size shows what fits, and a changed size is followed."""
    _, top = registry(args, home, 1000)
    with Terminal(home, top) as terminal:
        terminal.sees("1000 agents", "no daemon", "root online", "STATUS", "> active", "events, newest first")
        for width, height, parts in [(40, 10, ["1000 agents", "> active", "q:quit"]), (160, 50, ["RUNTIME", "ID", "PATH"]),
                                     (12, 4, ["meshd"]), (80, 24, ["1000 agents", "q quit"])]:
            terminal.resize(width, height)
            screen = terminal.sees(*parts)
            if any(len(line) > width for line in screen.splitlines()):
                raise Failed(f"wider than {width}:\n{screen}")
        terminal.press("q")
        terminal.is_given_back(0)


def keys(args, home):
    """Moving, filters, explanation, help, and every way out."""
    _, top = registry(args, home, 30)
    with Terminal(home, top) as terminal:
        terminal.sees("30 agents", "> active")
        terminal.press("End")
        terminal.sees("> active", "agent-00029")
        terminal.press("/", "0001", "Enter")
        terminal.sees("agents 11 of 30", "filter:0001")
        terminal.press("s")
        terminal.sees("status:unreachable", "none fits the filter")
        terminal.press("Escape")
        terminal.sees("agents 30")
        terminal.press("Enter")
        terminal.sees("why: ", "its manifest is there", "Esc closes")
        terminal.press("Escape")
        terminal.sees_no_more("why: ")
        terminal.press("?")
        terminal.sees(" keys ", "Ctrl-C")
        terminal.press("x", "Tab")
        terminal.sees("▶ events")
        terminal.press("C-c")
        terminal.is_given_back(0)


def live(args, home):
    """What happens is seen while it happens, and what the daemon says; a daemon that ends is, too."""
    root = os.path.join(home, "root")
    os.mkdir(root)
    meshd = Meshd(args.meshd, [root], home).start()
    meshd.ready()
    try:
        with Terminal(home, [args.meshd, "top", "--state-dir", meshd.state_dir]) as terminal:
            terminal.sees("0 agents", "daemon ready", "none yet")
            manifest = new_manifest(1)
            hostile = {**manifest, "name": "evil \x1b]0;owned\x07\x1b[31m \u202e end"}
            write(os.path.join(root, "web", "shop"), hostile)
            screen = terminal.sees("1 agent", "agent.registered", "\\u{1b}]0;owned")
            if "\u202e" in screen:
                raise Failed("a character that reorders text reached the screen")
            os.remove(manifest_of(os.path.join(root, "web", "shop")))
            terminal.sees("1 unreachable", "> unreachable", "agent.unreachable")
            meshd.stop()
            terminal.sees("no daemon runs")
            terminal.press("q")
            terminal.is_given_back(0)
    finally:
        meshd.close()


def ends(args, home):
    """A signal ends it and gives the terminal back. NO_COLOR is heeded."""
    _, top = registry(args, home, 5)
    for number in [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT]:
        part = os.path.join(home, number.name)
        os.mkdir(part)
        with Terminal(part, top) as terminal:
            terminal.sees("5 agents")
            if not COLOUR.search(terminal.screen("-e")):
                raise Failed("there is no colour")
            os.kill(terminal.pid(), number)
            terminal.is_given_back(0)
    part = os.path.join(home, "plain")
    os.mkdir(part)
    with Terminal(part, top, NO_COLOR="1") as terminal:
        terminal.sees("5 agents")
        if COLOUR.search(terminal.screen("-e")):
            raise Failed("there is colour")


def stops(args, home):
    """It is stopped and goes on like any program: the terminal is the shell's meanwhile, and all is drawn anew then."""
    _, top = registry(args, home, 5)
    with Terminal(home, top) as terminal:
        terminal.sees("5 agents")
        for stop in [lambda: os.kill(terminal.pid(), signal.SIGTSTP), lambda: terminal.press("C-z")]:
            stop()
            terminal.is_given_back(signal.SIGSTOP.value, STOPPED)
            terminal.press("Enter")
            terminal.sees("5 agents", "> active", "q quit")
        # Nobody gives back anything then; what is drawn afterwards is whole all the same.
        os.kill(terminal.pid(), signal.SIGSTOP)
        terminal.sees(STOPPED)
        terminal.press("Enter")
        terminal.sees("5 agents", "> active", "q quit")
        terminal.press("?")
        terminal.sees(" keys ", "Ctrl-Z")
        terminal.press("x", "q")
        terminal.is_given_back(0)


def damaged(args, home):
    """A registry that is damaged while it is looked at is told, and so is one that can be read again."""
    _, top = registry(args, home, 5)
    with Terminal(home, top, width=40, height=8) as terminal:
        terminal.sees("5 agents", "no daemon")
        path = os.path.join(home, "state", "registry.db")
        # What is in the log still is read from there, and whole.
        with contextlib.closing(sqlite3.connect(path)) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with open(path, "r+b") as file:
            sound = file.read()
            file.seek(0)
            file.write(os.urandom(len(sound)))
            file.flush()
            terminal.sees("the registry is corrupt")
            file.seek(0)
            file.write(sound)
        terminal.sees("5 agents", "no daemon")


def gone(args, home):
    """A terminal that goes away takes it along: it does not go on reading what is not there."""
    _, top = registry(args, home, 5)
    with Terminal(home, top) as terminal:
        terminal.sees("5 agents")
        process = f"/proc/{terminal.pid()}"
    until("it ended with its terminal", lambda: not os.path.exists(process), again=0.05)


def absent(args, home):
    """Without a registry it waits for one."""
    state = os.path.join(home, "state")
    with Terminal(home, [args.meshd, "top", "--state-dir", state]) as terminal:
        terminal.sees("there is no registry", "no daemon runs")
        subprocess.run([args.meshd, "reconcile", home, "--state-dir", state, "--log-level", "error"], check=True,
                       stdout=subprocess.DEVNULL)
        terminal.sees("0 agents", "root online")


if __name__ == "__main__":
    parts = {"sizes": sizes, "keys": keys, "live": live, "ends": ends, "stops": stops, "damaged": damaged, "gone": gone, "absent": absent}
    sys.exit(run_parts(argparse.ArgumentParser(description=__doc__), parts))
