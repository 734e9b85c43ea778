#!/usr/bin/env python3
"""systemd.py: the package in a really booted systemd: installed, started, watched over, hung, killed, upgraded, removed.

  tests/systemd.py [--deb FILE]

`bash packaging/deb` builds the package. A container is booted over a throw-away copy of this system, without a network;
root and Debian's systemd-container are needed. Each line that is printed was found to hold; the first that does not
ends it, with the journal. Exit status: 0 all hold, 1 not.
"""
import argparse
import contextlib
import glob
import json
import os
import pwd
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
import time

from live import Failed, default_binary, tool, until
from show import new_manifest, write

# For what takes a start of the daemon or a reaction of systemd.
DEADLINE = 60.0

# For all of it, so that nothing hangs for ever. It takes a minute.
WHOLE = 400

# The container mounts /tmp anew, so what is to be seen in it lies here.
VISIBLE = "/var/tmp"

# How often systemd wants to hear from the daemon while it is hung on purpose. For what the unit says nobody would wait.
WATCHDOG = 3

DROP_INS = "/etc/systemd/system/meshd.service.d"

STRICT = """[Service]
# The promise: whoever takes longer is killed, and the result is not `success`.
TimeoutStopSec=5
# A system call that the filter forbids is the end, and not an error that somebody might swallow.
SystemCallErrorNumber=kill
"""

CONFIG = "/etc/meshd/config.toml"
ROOT = "/srv/projects"
MORE = "/srv/more"
AGENTS = 2000

# Words of a journal in which something was refused.
UNWELL = re.compile(r"permission denied|not permitted|seccomp|panicked|read-only file system|status=31/SYS", re.I)


# -- what is asked -------------------------------------------------------------------
def run(*command, **more):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
                          **more)


def out(*command, **more):
    """What a command that must not fail says."""
    done = run(*command, **more)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)} ended with {done.returncode}: {(done.stderr or done.stdout)[-2000:].strip()}")
    return done.stdout


def must(holds, what):
    if not holds:
        raise Failed(f"it does not hold that {what}")


def held(what):
    print(f"  ok: {what}", flush=True)


class Service:
    """A unit, its daemon and the command line beside it."""

    def __init__(self, scope=(), flags=(), of="_SYSTEMD_UNIT=meshd.service", **more):
        # `scope` leads systemctl to the right manager, `flags` lead meshd to the right daemon.
        self.scope, self.flags, self.of, self.more = scope, flags, of, more

    def ctl(self, *arguments):
        return out("systemctl", *self.scope, *arguments, **self.more)

    def fact(self, name):
        return self.ctl("show", "--property", name, "--value", "meshd.service").strip()

    def facts(self, **expected):
        found = {name: self.fact(name) for name in expected}
        if found != expected:
            raise Failed(f"systemd says {found}, and not {expected}")

    def pid(self):
        return int(self.fact("MainPID"))

    def restarts(self):
        return int(self.fact("NRestarts"))

    def fresh(self):
        """A daemon that runs, and none of whose starts counts against its limit of them."""
        self.ctl("reset-failed", "meshd.service")
        self.facts(ActiveState="active", SubState="running")
        return self.pid()

    def meshd(self, *arguments):
        return out("/usr/bin/meshd", *arguments, *self.flags, **self.more)

    def examined(self):
        """What doctor says, which must find nothing that needs a person."""
        done = run("/usr/bin/meshd", "doctor", *self.flags, **self.more)
        must(done.returncode == 0, f"doctor finds nothing that needs a person: {done.stdout}{done.stderr}")
        return done.stdout

    def listed(self):
        """The projects of all agents that are not unreachable, by their names. Asked without a configuration: also
        while that is ill."""
        rows = self.meshd("list", "--json", "--config", "/dev/null")
        return {row["name"]: row["projectPath"] for row in json.loads(rows)["agents"] if row["status"] != "unreachable"}

    def journal(self, *matches, since=None):
        """What the journal has of meshd and of systemd about it."""
        where = matches or (self.of, "+", "_PID=1", "UNIT=meshd.service")
        cursor = ("--after-cursor", since) if since else ()
        return out("journalctl", "--no-pager", "--quiet", "--output=cat", *cursor, *where)

    def says(self, text, *matches, since=None):
        until(f"the journal says {text!r}", lambda: text in self.journal(*matches, since=since), DEADLINE, 0.05)

    def again(self, pid):
        """Waits until systemd has started it again and it is ready, and returns how often that was by itself."""
        def is_another():
            return self.fact("ActiveState") == "active" and self.pid() not in (0, pid)
        until("another daemon is ready", is_another, DEADLINE, 0.05)
        return self.restarts()


SYSTEM = Service(flags=("--state-dir", "/var/lib/meshd", "--socket", "/run/meshd/meshd.sock"))


def cursor():
    """Where the journal is now."""
    said = out("journalctl", "--no-pager", "--quiet", "--lines=0", "--show-cursor")
    return said.rsplit("cursor: ", 1)[1].strip()


def configure(text, path=CONFIG):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def project(root, name):
    path = os.path.join(root, name)
    write(path, {**new_manifest(0), "id": name, "name": name})
    return path


def processes():
    return run("pgrep", "-x", "meshd").stdout.split()


# -- what must hold ------------------------------------------------------------------
def install(deb):
    out("dpkg", "--install", deb)
    SYSTEM.facts(ActiveState="inactive", UnitFileState="disabled", NeedDaemonReload="no")
    must(run("systemctl", "--global", "is-enabled", "meshd").stdout.strip() == "disabled", "no user's unit is enabled")
    must(not processes() and not os.path.lexists("/var/lib/meshd"), "nothing was started")
    held("dpkg installs it without a network; it neither enables nor starts a unit")
    ids = set(re.findall(r"^-- (\w{32})$", open("/usr/lib/systemd/catalog/meshd.catalog", encoding="utf-8").read(), re.M))
    known = out("journalctl", "--list-catalog")
    must(ids and all(name in known for name in ids), "the journal's catalog knows every message of meshd")
    held(f"the journal's catalog knows meshd's {len(ids)} messages")
    script = "/usr/share/bash-completion/completions/meshd"
    must("meshd" in out("bash", "-c", f"source {script}; complete -p meshd"), "bash completes meshd")
    held("bash completes meshd")


def ready(_deb):
    for number in range(AGENTS):
        project(f"{ROOT}/{number % 50}", f"agent-{number}")
    configure(f'roots = ["{ROOT}"]\n')
    SYSTEM.ctl("start", "meshd.service")
    found = len(SYSTEM.listed())
    must(found == AGENTS, f"all {AGENTS} agents are registered when `systemctl start` returns: {found} are")
    SYSTEM.facts(ActiveState="active", SubState="running", StatusText="ready: every scan root was looked at")
    held(f"`systemctl start` returns when all is looked at: {found} agents are registered then")
    must(out("stat", "-L", "-c", "%U %a", "/var/lib/meshd", "/run/meshd/meshd.sock") == "meshd 700\nmeshd 600\n",
         "state directory and socket are its own user's alone")
    status = out("systemctl", "status", "--no-pager", "meshd.service")
    must("active (running)" in status and "ready: every scan root" in status, "systemctl status shows it")
    held("it runs as a user of its own, and so do state directory and socket")


def drop_in(_deb):
    configure(STRICT, f"{DROP_INS}/strict.conf")
    SYSTEM.ctl("daemon-reload")
    SYSTEM.ctl("restart", "meshd.service")
    must(len(SYSTEM.listed()) == AGENTS, "all agents are there after a restart")
    held("restarted, with 5 s to stop, and death to whoever makes a forbidden system call")


def registered(_deb):
    path = f"{ROOT}/new/shop"
    os.makedirs(path)
    SYSTEM.meshd("register", path, "--name", "shop", "--runtime", "codex")
    agent = json.loads(SYSTEM.meshd("show", path, "--json"))["id"]
    must(os.path.isfile(f"{path}/.dork/agent.json"), "the manifest is written, by whoever asked")
    SYSTEM.says(agent, f"AGENT_ID={agent}", "EVENT=agent.registered")
    SYSTEM.says(path, "EVENT=agent.registered", f"PROJECT_PATH={path}")
    held("an agent that is registered is found in the journal by AGENT_ID, EVENT and PROJECT_PATH")
    message = "d18b93d33ccbf015530a13a36f4eac80"
    SYSTEM.says(agent, f"MESSAGE_ID={message}", f"AGENT_ID={agent}")
    explained = out("journalctl", "--no-pager", "-x", f"MESSAGE_ID={message}", f"AGENT_ID={agent}")
    must(f"Subject: Agent {agent} was registered" in explained and f"at {path}/.dork/agent.json" in explained,
         f"`journalctl -x` explains it: {explained}")
    held("by MESSAGE_ID too, and `journalctl -x` explains it from the catalog")


def examined(_deb):
    said = SYSTEM.examined()
    must("not started by a unit" not in said, f"doctor knows its unit: {said}")
    must("meshd doctor --state-dir /var/lib/meshd" in run("/usr/bin/meshd", "doctor").stdout,
         "who asks without flags is told where the system's daemon is")
    held("`meshd doctor` finds nothing that needs a person")


def reload(_deb):
    pid, before, since = SYSTEM.fresh(), SYSTEM.listed(), cursor()
    project(MORE, "added")
    configure(f'roots = ["{ROOT}", "{MORE}"]\n')
    SYSTEM.ctl("reload", "meshd.service")
    must("added" in SYSTEM.listed(), "when `systemctl reload` returns, the agent of a root that was added is there")
    SYSTEM.says("the configuration was reloaded", since=since)
    held("`systemctl reload` after a scan root was added returns when its agent is there")
    since = cursor()
    configure(f'roots = ["{ROOT}"]\nmax_depth = "deep"\n')
    SYSTEM.ctl("reload", "meshd.service")
    SYSTEM.says("/etc/meshd/config.toml:2:13: `max_depth`", since=since)
    until("the reload is over", lambda: SYSTEM.fact("SubState") == "running", DEADLINE)
    must(SYSTEM.pid() == pid and SYSTEM.listed() == {**before, "added": f"{MORE}/added"}, "nothing changed")
    held("an ill configuration is said in the journal with its line, and changes nothing")
    configure(f'roots = ["{ROOT}", "{MORE}"]\n')
    SYSTEM.ctl("reload", "meshd.service")


def fed(_deb):
    configure(f"[Service]\nWatchdogSec={WATCHDOG}\n", f"{DROP_INS}/watchdog.conf")
    SYSTEM.ctl("daemon-reload")
    SYSTEM.ctl("restart", "meshd.service")
    pid = SYSTEM.fresh()
    first = int(SYSTEM.fact("WatchdogTimestampMonotonic"))
    enough = first + 3 * WATCHDOG * 1_000_000
    until("the watchdog is fed", lambda: int(SYSTEM.fact("WatchdogTimestampMonotonic")) > enough, DEADLINE, 0.2)
    must(SYSTEM.pid() == pid, "it was not restarted")
    held("a daemon that is well feeds the watchdog, longer than three times what it waits")


def hung(_deb):
    pid, restarts, since = SYSTEM.fresh(), SYSTEM.restarts(), cursor()
    os.kill(pid, signal.SIGSTOP)
    project(ROOT, "while-hung")
    must(SYSTEM.again(pid) == restarts + 1, "systemd restarted it once")
    must("while-hung" in SYSTEM.listed(), "what changed meanwhile is registered when it is ready")
    SYSTEM.says("Watchdog timeout", since=since)
    os.unlink(f"{DROP_INS}/watchdog.conf")
    SYSTEM.ctl("daemon-reload")
    held("hung on purpose (SIGSTOP), the watchdog ends it; it is restarted and knows what changed meanwhile")


def killed(_deb):
    pid, restarts = SYSTEM.fresh(), SYSTEM.restarts()
    os.kill(pid, signal.SIGKILL)
    project(ROOT, "while-dead")
    must(SYSTEM.again(pid) == restarts + 1, "systemd restarted it once")
    must("while-dead" in SYSTEM.listed(), "what changed meanwhile is registered when it is ready")
    held("killed (SIGKILL), it is restarted and knows what changed meanwhile")


class Storm(threading.Thread):
    """New agents, as fast as they can be made, until it is over."""

    def __init__(self):
        super().__init__(daemon=True)
        self.made, self.is_over = 0, threading.Event()

    def run(self):
        while not self.is_over.is_set():
            project(f"{ROOT}/storm/{self.made % 100}", f"storm-{self.made}")
            self.made += 1

    def end(self):
        self.is_over.set()
        self.join()
        return self.made


def stopped(_deb):
    SYSTEM.fresh()
    before, since, storm = len(SYSTEM.listed()), cursor(), Storm()
    storm.start()
    try:
        until("the storm has come through", lambda: len(SYSTEM.listed()) > before + 500, DEADLINE)
        SYSTEM.ctl("stop", "meshd.service")
    finally:
        made = storm.end()
    # A unit that is inactive, and not failed, is one that systemd keeps nothing of: its journal does.
    SYSTEM.facts(ActiveState="inactive")
    SYSTEM.says("Deactivated successfully", since=since)
    must("timed out" not in SYSTEM.journal(since=since), "systemd did not have to kill it")
    must(not os.path.exists("/run/meshd"), "its socket is gone")
    registry = sqlite3.connect("/var/lib/meshd/registry.db")
    must(registry.execute("PRAGMA integrity_check").fetchall() == [("ok",)], "the registry is sound")
    rows, numbers, last = registry.execute(
        "SELECT (SELECT count(*) FROM agents), count(*), max(seq) - min(seq) + 1 FROM events").fetchone()
    registry.close()
    must(numbers == last, "the events have no gap")
    held(f"stopped within 5 s while agents were made as fast as possible: {rows - before} of {made} are recorded, "
         "the registry is sound")
    SYSTEM.ctl("start", "meshd.service")
    found = len(SYSTEM.listed())
    must(found == before + made, f"all {before + made} agents are there when it is started again: {found}")
    held("started again, it knows them all")


def well(_deb):
    lines = [line for line in SYSTEM.journal().splitlines() if UNWELL.search(line)]
    must(not lines, f"the journal has nothing of a refusal: {lines[:5]}")
    held("under all of its hardening nothing was refused to it, and no system call was forbidden")


def over_tcp(_deb):
    configure(f'roots = ["{ROOT}", "{MORE}"]\nhttp = "127.0.0.1:4848"\n')
    shutil.copy("/usr/share/doc/meshd/examples/meshd-http.conf", f"{DROP_INS}/http.conf")
    SYSTEM.ctl("daemon-reload")
    SYSTEM.ctl("restart", "meshd.service")
    with open("/var/lib/meshd/http.token", encoding="utf-8") as file:
        token = file.read().strip()

    def status(**headers):
        asked = urllib.request.Request("http://127.0.0.1:4848/api/mesh/status", headers=headers)
        try:
            with urllib.request.urlopen(asked, timeout=DEADLINE) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, None
    code, answer = status(Authorization=f"Bearer {token}")
    must(code == 200 and answer["totalAgents"] == len(SYSTEM.listed()), f"the API answers over TCP: {code} {answer}")
    must(status()[0] == 401, "it does not without the token")
    held("with the example drop-in, the API answers on 127.0.0.1:4848 to whoever has the token")
    os.unlink(f"{DROP_INS}/http.conf")
    configure(f'roots = ["{ROOT}", "{MORE}"]\n')
    SYSTEM.ctl("daemon-reload")
    SYSTEM.ctl("restart", "meshd.service")


def upgrade(deb):
    pid = SYSTEM.fresh()
    before = SYSTEM.listed()
    out("dpkg", "--install", deb)
    SYSTEM.facts(ActiveState="active", SubState="running")
    must(SYSTEM.pid() != pid and SYSTEM.listed() == before, "another daemon is ready, with the same agents")
    held("an upgrade restarts a daemon that runs")
    SYSTEM.ctl("stop", "meshd.service")
    out("dpkg", "--install", deb)
    SYSTEM.facts(ActiveState="inactive", UnitFileState="disabled")
    must(open(CONFIG, encoding="utf-8").read().startswith("roots = "), "the configuration is as it was edited")
    held("an upgrade starts none that does not, and leaves the configuration alone")


def image(deb):
    SYSTEM.ctl("start", "meshd.service")
    pid, before, root = SYSTEM.fresh(), SYSTEM.listed(), "/srv/image"
    os.makedirs(f"{root}/var/lib/dpkg/info")
    os.makedirs(f"{root}/var/lib/dpkg/updates")
    configure("", f"{root}/var/lib/dpkg/status")
    dpkg = ("dpkg", f"--root={root}", "--force-script-chrootless", "--force-depends")
    out(*dpkg, "--install", deb)
    configure("", f"{root}/var/lib/meshd/registry.db")
    out(*dpkg, "--remove", "meshd")
    out(*dpkg, "--purge", "meshd")
    must(not os.path.lexists(f"{root}/var/lib/meshd"), "what was kept in the image is purged")
    must(SYSTEM.pid() == pid and SYSTEM.listed() == before, "the daemon of this machine runs, with its agents")
    held("installed into an image and purged from it, nothing of this machine is touched")


def users_unit(deb):
    out("useradd", "--create-home", "--home-dir", "/home/ann", "--shell", "/bin/bash", "ann")
    os.chmod("/home/ann", 0o700)
    user = pwd.getpwnam("ann").pw_uid
    out("systemctl", "start", f"user@{user}.service")
    environment = {"PATH": os.environ["PATH"], "HOME": "/home/ann", "XDG_RUNTIME_DIR": f"/run/user/{user}"}
    more = {"user": user, "group": user, "extra_groups": [], "env": environment, "cwd": "/home/ann", "umask": 0o022}
    service = Service(scope=("--user",), of="_SYSTEMD_USER_UNIT=meshd.service", **more)
    out("mkdir", "-p", ".config/meshd", "projects/shop", **more)
    configure('roots = ["~/projects"]\n', "/home/ann/.config/meshd/config.toml")
    service.ctl("start", "meshd.service")
    service.meshd("register", "projects/shop", "--name", "shop", "--runtime", "codex")
    must(service.listed() == {"shop": "/home/ann/projects/shop"}, "her agents are registered, and no others")
    must(os.stat("/home/ann/projects/shop/.dork/agent.json").st_uid == user, "the manifest is hers")
    service.says("agent.registered", "_SYSTEMD_USER_UNIT=meshd.service", "EVENT=agent.registered")
    held("a user's unit: started by her own systemd, in a private home; the commands find it without a flag")
    by_root = Service(flags=("--state-dir", "/home/ann/.local/state/meshd"))
    for said in (service.examined(), by_root.examined()):
        must("not started by a unit" not in said and "/home/ann/projects: online" in said, f"it is well: {said}")
    held("`meshd doctor` finds nothing that needs a person, asked by her and by root")
    pid = service.fresh()
    os.kill(pid, signal.SIGKILL)
    must(service.again(pid) == 1 and "shop" in service.listed(), "it was restarted")
    service.ctl("reload", "meshd.service")
    until("the reload is over", lambda: service.fact("SubState") == "running", DEADLINE)
    held("killed, it is restarted; it reloads")
    pid = service.fresh()
    out("dpkg", "--install", deb)
    service.again(pid)
    held("an upgrade restarts a user's daemon too")
    lines = [line for line in service.journal(service.of).splitlines() if UNWELL.search(line)]
    must(not lines, f"the journal has nothing of a refusal: {lines[:5]}")
    return service


def removed(_deb):
    SYSTEM.ctl("start", "meshd.service")
    must(len(processes()) == 2, "the system's daemon and a user's run")
    out("dpkg", "--remove", "meshd")
    until("the daemons have ended", lambda: not processes(), DEADLINE)
    must(run("systemctl", "is-active", "meshd").stdout.strip() == "inactive", "the unit is not active")
    must(os.path.isfile(CONFIG) and os.path.isfile("/var/lib/meshd/registry.db"), "configuration and registry stay")
    held("removed, the daemons end; configuration and registry stay")
    out("dpkg", "--purge", "meshd")
    left = [path for path in ("/etc/meshd", "/var/lib/meshd", "/var/lib/private/meshd", "/usr/share/doc/meshd",
                              "/usr/lib/systemd/system/meshd.service") if os.path.lexists(path)]
    must(not left, f"nothing is left: {left}")
    must("d18b93d33ccbf015530a13a36f4eac80" not in out("journalctl", "--list-catalog"), "the catalog forgot it")
    must(os.path.isfile(f"{ROOT}/new/shop/.dork/agent.json"), "the manifests stay")
    must(os.path.isfile("/home/ann/.local/state/meshd/registry.db"), "what lies in homes stays")
    held("purged, nothing of it is left but the manifests and what lies in homes")


PARTS = (install, ready, drop_in, registered, examined, reload, fed, hung, killed, stopped, over_tcp, well, upgrade, image,
         users_unit, removed)


# -- in the container ----------------------------------------------------------------
def too_long(_signal, _frame):
    raise Failed(f"not within {WHOLE} s: everything")


def inside(deb):
    # Images that are made for containers of one program have packages start nothing. Here is a system.
    with contextlib.suppress(FileNotFoundError):
        os.unlink("/usr/sbin/policy-rc.d")
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(WHOLE)
    start = time.monotonic()
    try:
        for part in PARTS:
            part(deb)
    except (Failed, OSError, subprocess.SubprocessError, sqlite3.Error) as error:
        said = run("journalctl", "--no-pager", "--quiet").stdout.splitlines()
        said = [line for line in said if "agent.registered" not in line][-60:]
        print(f"  FAILED: {error}\n\n{run('systemctl', 'status', '--no-pager', '-n0', 'meshd').stdout}\n"
              + "\n".join(said), flush=True)
        return 1
    print(f"all hold ({time.monotonic() - start:.0f} s)")
    return 0


# -- and outside of it ---------------------------------------------------------------
def contents(deb):
    """What the package must have: a page of the manual for every command, and everything that is installed."""
    listing = out("dpkg-deb", "--contents", deb)
    files = {line.split()[5].lstrip(".") for line in listing.splitlines() if not line.startswith("d")}
    with tempfile.TemporaryDirectory(dir=VISIBLE) as directory:
        out("dpkg-deb", "--extract", deb, directory)
        help_ = out(os.path.join(directory, "usr/bin/meshd"), "--help")
    commands = re.findall(r"^  ([a-z-]+) ", help_.split("Commands:")[1].split("Options:")[0], re.M)
    must(len(commands) > 20, f"`meshd --help` lists the commands: {commands}")
    expected = {f"/usr/share/man/man1/meshd-{command}.1.gz" for command in commands if command != "help"} | {
        "/usr/bin/meshd", "/usr/share/man/man1/meshd.1.gz", "/etc/meshd/config.toml",
        "/usr/lib/systemd/system/meshd.service", "/usr/lib/systemd/user/meshd.service",
        "/usr/lib/systemd/catalog/meshd.catalog", "/usr/share/bash-completion/completions/meshd",
        "/usr/share/zsh/vendor-completions/_meshd", "/usr/share/fish/vendor_completions.d/meshd.fish",
        "/usr/share/doc/meshd/copyright", "/usr/share/doc/meshd/examples/meshd-http.conf",
        "/usr/share/doc/meshd/monitoring/rules.yml", "/usr/share/doc/meshd/monitoring/dashboard.json"}
    must(not expected - files, f"the package has everything: missing are {sorted(expected - files)}")
    depends = out("dpkg-deb", "--field", deb, "Depends")
    must(re.fullmatch(r"libc6 \(>= [\d.]+\)(, libgcc-s1 \(>= [\d.]+\))?\n", depends), f"it needs the C library only: {depends}")
    held(f"the package has units, {len(commands)} pages of the manual, completions, catalog; it needs {depends.strip()}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deb", help="the package (default: the newest one that `packaging/deb` built)")
    parser.add_argument("--inside", metavar="FILE", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        return inside(args.inside)
    built = glob.glob(os.path.join(os.path.dirname(os.path.dirname(default_binary())), "debian", "meshd_*.deb"))
    deb = args.deb or max(built, key=os.path.getmtime, default=None)
    if deb is None:
        parser.error("there is no package: bash packaging/deb")
    if os.getuid() != 0 or shutil.which("systemd-nspawn") is None:
        parser.error("root and systemd-nspawn (Debian's systemd-container) are needed")
    try:
        contents(deb)
    except (Failed, OSError) as error:
        print(f"  FAILED: {error}")
        return 1
    here = os.path.dirname(os.path.abspath(__file__))
    with tempfile.TemporaryDirectory(prefix="meshd-systemd-", dir=VISIBLE) as home:
        for file in [deb, *glob.glob(os.path.join(here, "*.py"))]:
            shutil.copy(file, home)
        # Nothing of this session's settings is to reach the commands in there.
        environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": home, "LANG": "C.UTF-8",
                       "PYTHONDONTWRITEBYTECODE": "1"}
        script = [os.path.join(home, "systemd.py"), "--inside", os.path.join(home, os.path.basename(deb))]
        # It runs `bash ARGUMENTS…` in the container.
        return subprocess.run(["bash", tool("in_systemd.sh"), "-c", 'exec python3 "$@"', "proof", *script],
                              stdin=subprocess.DEVNULL, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
