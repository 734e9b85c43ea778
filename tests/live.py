"""live.py: a meshd that really runs, for the proofs in this directory.

It is used as a person would: by its command line, its signals and what it tells systemd. Nothing in here waits a fixed
time: what must come is waited for until it is there or its deadline is over.
"""
import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# How often a condition is looked at again, in seconds. One look is mostly the start of a process, a few milliseconds.
AGAIN = 0.005

# For what must come in milliseconds. On a machine that is busy otherwise it takes longer, and is no less right.
DEADLINE = 20.0

# The counters of a reconcile that did nothing are all zero; `problems` counts what is so, not what was done.
DONE = ("discovered", "synced", "relocated", "unreachable", "resurrected", "removed")


class Failed(Exception):
    """What must hold does not."""


class Refused(Failed):
    """A command says no."""


class Skipped(Exception):
    """What a part needs is not to be had here."""


def default_binary():
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(TOP, "target"))
    return os.path.join(target, "release", "meshd")


def tool(name):
    """One of the shared tools: `MESHD_TOOLS` says where they are, or they lie beside the repository."""
    directory = os.environ.get("MESHD_TOOLS") or os.path.join(TOP, "..", "shared", "tools")
    path = os.path.normpath(os.path.join(directory, name))
    if not os.path.isfile(path):
        sys.exit(f"{name} is not in {os.path.dirname(path)}: set MESHD_TOOLS to the directory of the shared tools")
    return path


def until(what, look, deadline=DEADLINE, again=AGAIN):
    """Looks again and again until there is an answer, and returns it with the seconds that it took."""
    start = time.monotonic()
    while True:
        answer = look()
        took = time.monotonic() - start
        if answer:
            return answer, took
        if took > deadline:
            raise Failed(f"not within {deadline:g} s: {what}")
        time.sleep(again)


def run_parts(parser, parts):
    """The main of a proof in parts: each that is named, or all, in a directory of its own. Returns the exit status."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(parts))
    parser.add_argument("--meshd", default=default_binary(), help="the binary")
    parser.add_argument("--keep", action="store_true", help="leave the evidence of parts that hold, too")
    args = parser.parse_args()
    if unknown := set(args.parts) - set(parts):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    failed = []
    for name in args.parts or parts:
        home = tempfile.mkdtemp(prefix=f"meshd-{name}-")
        start = time.monotonic()
        print(f"{name}:", flush=True)
        try:
            parts[name](args, home)
        except Skipped as why:
            print(f"  skipped: {why}", flush=True)
        except (Failed, OSError, subprocess.SubprocessError) as error:
            failed.append(name)
            print(f"  FAILED: {error}\n  evidence: {home}", flush=True)
            continue
        else:
            print(f"  ok ({time.monotonic() - start:.1f} s)" + (f", evidence: {home}" if args.keep else ""), flush=True)
        if not args.keep:
            shutil.rmtree(home)
    print(f"failed: {', '.join(failed)}" if failed else "all hold")
    return 1 if failed else 0


class Meshd:
    """One registry, and the daemon that keeps it while it runs."""

    def __init__(self, binary, roots, home, *flags, inside=()):
        # `inside` is a command that becomes the daemon: it enters a namespace or lowers a limit, and executes the rest.
        self.binary, self.roots, self.flags, self.inside = binary, list(roots), list(flags), list(inside)
        self.state_dir = os.path.join(home, "state")
        self.log = os.path.join(home, "meshd.log")
        self.process = None
        # systemd's side of the readiness protocol, so that "ready" is what the daemon says and not a guess.
        self.address = os.path.join(home, "notify")
        self.notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notices.bind(self.address)

    # -- the daemon ----------------------------------------------------------
    def start(self, *flags):
        """Starts the daemon, and does not wait."""
        log_format = [] if "--log-format" in self.flags else ["--log-format", "json"]
        command = [*self.inside, self.binary, "run", *self.roots, "--state-dir", self.state_dir, *log_format]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command + self.flags + list(flags), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env={**os.environ, "NOTIFY_SOCKET": self.address})
        return self

    def ready(self, deadline=60.0):
        """Waits until the daemon says that it is ready, and returns the seconds that it took."""
        def told():
            if self.process.poll() is not None:
                raise Failed(f"it ended with {self.process.returncode} before it was ready: {self.last_words()}")
            self.notices.settimeout(0.05)
            try:
                return b"READY=1" in self.notices.recv(65536).split(b"\n")
            except socket.timeout:
                return False
        return until("the daemon says READY=1", told, deadline)[1]

    def kill(self):
        """SIGKILL; what it said until then is forgotten, so that the next one's readiness is its own."""
        self.process.kill()
        self.process.wait()
        self.notices.setblocking(False)
        try:
            while self.notices.recv(65536):
                pass
        except BlockingIOError:
            pass

    def pause(self):
        """SIGSTOP; returns when every thread stands still."""
        self.process.send_signal(signal.SIGSTOP)
        tasks = f"/proc/{self.process.pid}/task"

        def stands(task):
            with open(os.path.join(tasks, task, "stat"), encoding="utf-8", errors="replace") as file:
                return file.read().rsplit(")", 1)[1].split()[0] == "T"
        until("the daemon stands still", lambda: all(map(stands, os.listdir(tasks))))

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def stop(self):
        """SIGTERM; returns the seconds until it ended. Design: at most 5, with exit status 0."""
        if self.process is None or self.process.poll() is not None:
            raise Failed(f"the daemon is not running any more: {self.last_words()}")
        start = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            raise Failed("the daemon does not end on SIGTERM") from None
        took = time.monotonic() - start
        if code != 0 or took > 5:
            raise Failed(f"SIGTERM ended the daemon with {code} after {took:.1f} s, and not with 0 within 5 s")
        return took

    def close(self):
        """Ends whatever still runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.notices.close()

    def last_words(self):
        with open(self.log, "rb") as log:
            return log.read()[-2000:].decode("utf-8", "replace").strip() or "it said nothing"

    def logged(self, event):
        """The messages that the log has of one kind of event."""
        with open(self.log, "rb") as log:
            lines = [json.loads(line) for line in log if line.startswith(b"{")]
        return [line["message"] for line in lines if line.get("event") == event]

    def sound(self):
        """Fails if the log tells of a panic: no input may cause one."""
        with open(self.log, "rb") as log:
            for line in log:
                if b"panicked" in line:
                    raise Failed(f"a panic: {line.decode('utf-8', 'replace').strip()}")

    # -- the command line ----------------------------------------------------
    def command(self, *arguments):
        """Runs a command beside the daemon, or without one."""
        return subprocess.run([self.binary, *arguments, "--state-dir", self.state_dir], stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=120, check=False)

    def answer(self, *arguments):
        """What a command answers as JSON."""
        done = self.command(*arguments, "--json")
        try:
            if done.returncode == 0:
                return json.loads(done.stdout)
        except ValueError:
            pass
        kind = Refused if done.returncode == 1 else Failed
        raise kind(f"meshd {' '.join(arguments)} ended with {done.returncode}: "
                   f"{(done.stderr or done.stdout)[-1000:].decode('utf-8', 'replace').strip()}")

    def agents(self):
        return self.answer("list")["agents"]

    def agent(self, which):
        """One of them, or None if there is none."""
        try:
            return self.answer("show", which)
        except Refused:
            return None

    def events(self):
        """All events, oldest first."""
        done = self.command("events", "--json")
        if done.returncode != 0:
            raise Failed(f"meshd events ended with {done.returncode}: {done.stderr[-1000:].decode('utf-8', 'replace')}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def told(self, name):
        """The events of one name, oldest first."""
        return [event for event in self.events() if event["event"] == name]

    def fact(self, name):
        """What the daemon says about itself in its status."""
        facts = self.answer("status")["daemon"]
        if name not in facts:
            raise Failed(f"status says nothing of daemon.{name}")
        return facts[name]

    def root(self, path):
        """What status says of one scan root."""
        return next(root for root in self.answer("status")["roots"] if root["path"] == path)

    def metric(self, name):
        """One figure of the daemon's metrics."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(DEADLINE)
            client.connect(os.path.join(self.state_dir, "meshd.sock"))
            client.sendall(b"GET /metrics HTTP/1.0\r\nHost: meshd\r\n\r\n")
            answer = b"".join(iter(lambda: client.recv(65536), b"")).decode("utf-8")
        for line in answer.splitlines():
            if line.startswith(name + " "):
                return float(line.rsplit(" ", 1)[1])
        raise Failed(f"the metrics have no {name}")

    def problems(self):
        """The projects that have a problem, by path."""
        return {problem["projectPath"]: problem for problem in self.answer("status")["problems"]}

    # -- what must hold ------------------------------------------------------
    def differences(self):
        """What the oracle says of the listing: nothing, if it is what disk says."""
        listing = self.command("list", "--json")
        if listing.returncode != 0:
            said = listing.stderr[-1000:].decode("utf-8", "replace").strip()
            return [f"meshd list ended with {listing.returncode}: {said}"]
        checked = subprocess.run([sys.executable, tool("oracle.py"), "check", *self.roots, "--against", "-"],
                                 input=listing.stdout, capture_output=True, check=False)
        lines = checked.stdout.decode("utf-8", "replace").splitlines()
        return [] if checked.returncode == 0 else lines[:-1] or [checked.stderr.decode("utf-8", "replace")]

    def same_as_disk(self, deadline=DEADLINE):
        """Waits until listing and disk agree, and returns the seconds that it took."""
        last = []

        def agrees():
            last[:] = self.differences()
            return not last
        try:
            return until("listing and disk agree", agrees, deadline)[1]
        except Failed as failed:
            raise Failed("\n  ".join([str(failed), *last[:20]])) from None

    def quiet(self, deadline=DEADLINE):
        """Waits until listing and disk agree and no event comes for longer than anything is held back."""
        # A manifest that does not parse is read again for the last time after 1 s, a missing one is held for 0.5 s.
        held = 1.6
        took, seen, since = self.same_as_disk(deadline), None, time.monotonic()

        def settled():
            nonlocal seen, since
            last = max((event["seq"] for event in self.events()), default=0)
            if last != seen or self.differences():
                seen, since = last, time.monotonic()
            return time.monotonic() - since > held
        until("no event comes any more", settled, deadline)
        return took

    def nothing_to_do(self):
        """One reconcile, which must do nothing."""
        result = self.answer("reconcile")
        if any(result[counter] for counter in DONE):
            raise Failed(f"a reconcile had something left to do: {json.dumps(result)}")

    def consistent(self):
        """One row an id, one row a path, events without a gap."""
        agents = self.agents()
        for key in ("id", "projectPath"):
            if len({agent[key] for agent in agents}) != len(agents):
                raise Failed(f"two rows with one {key}")
        numbers = [event["seq"] for event in self.events()]
        if numbers != list(range(numbers[0], numbers[0] + len(numbers)) if numbers else []):
            gap = next(a for a, b in zip(numbers, numbers[1:]) if b != a + 1)
            raise Failed(f"the events have a gap after number {gap}")
