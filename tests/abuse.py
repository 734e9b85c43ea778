#!/usr/bin/env python3
"""abuse.py: clients that mean harm or never end, against the real binary: each is refused or cut off, an edit still commits
and commands still answer meanwhile, and nothing of it is left afterwards.

  tests/abuse.py [PART…] [--readers N] [--connections N] [--megabytes N] [--meshd FILE] [--keep]

  readers      listeners to events, nine of ten of which never read; at the address, then at the socket
  connections  connections that send nothing, half a head, or a byte a second; at the address, then at the socket
  bodies       bodies without end, with Content-Length and in chunks; big answers that nobody takes
  strangers    no token, wrong Host, foreign Origin; another user at the socket

At full size: --readers 1000 --connections 10000 --megabytes 100. Times are told; a commit or a command that does not come
within 20 s fails, and so do threads and files that are left. Exit status: 0 all hold, 1 not.
"""
import argparse
import collections
import os
import resource
import shutil
import socket
import subprocess
import sys
import threading
import time

from live import DEADLINE, Failed, Meshd, Skipped, run_parts, until
from show import new_manifest, write
from storms import Commits, edits_of, spread
from web import Answer, Web, free_port, taken

# Threads and open files that may be more afterwards than before. SQLite keeps the files of closed connections while another
# has a lock on the same file, for those to come: as many as there were at once, 32 at each address.
SLACK = (4, 80)

# All of them are an answer of six megabytes: more than the kernel takes off the daemon's hands. Twenty are edited.
AGENTS, EDITED = 10_000, 20


class Watched:
    """A daemon whose edits are measured while something is done to it."""

    def __init__(self, args, home):
        tree, port = os.path.join(home, "tree"), free_port()
        projects = [os.path.join(tree, f"p{number}") for number in range(AGENTS)]
        for number, project in enumerate(projects):
            write(project, new_manifest(number))
        self.meshd = Meshd(args.meshd, [tree], home, "--sweep-interval", "1h", "--http", f"127.0.0.1:{port}")
        self.meshd.start().ready()
        self.projects = projects[:EDITED]
        self.webs = [Web(self.meshd.state_dir, port), Web(self.meshd.state_dir)]
        self.before = self.held()

    def held(self):
        """Threads, open files and memory in MB of the daemon."""
        proc = f"/proc/{self.meshd.process.pid}"
        with open(f"{proc}/status", encoding="ascii") as file:
            fields = dict(line.split(":", 1) for line in file)
        return int(fields["Threads"]), len(os.listdir(f"{proc}/fd")), int(fields["VmRSS"].split()[0]) // 1024

    def during(self, what, do):
        """Does it, and measures edits and commands until it is done."""
        over, edits, commands, failed = threading.Event(), [], [], []

        def measure():
            try:
                for took in edits_of(self.projects, Commits(self.meshd)):
                    edits.append(took)
                    start = time.monotonic()
                    if self.meshd.answer("status")["daemon"]["running"] is not True:
                        raise Failed("the daemon does not answer a command")
                    commands.append(time.monotonic() - start)
                    if over.wait(0.02):
                        return
            except Exception as error:  # What a thread raises is told by whoever started it.
                failed.append(error)
        watcher = threading.Thread(target=measure)
        watcher.start()
        try:
            result, most = do(), self.held()
        finally:
            over.set()
            watcher.join()
        if failed:
            raise Failed(f"while {what}: {failed[0]}")
        print(f"    {what}: {result}\n      an edit meanwhile ({len(edits)}): {spread(edits)}"
              f"\n      `meshd status` ({len(commands)}): {spread(commands)}"
              f"\n      threads, files, MB: {self.before} before, {most} at the end of it", flush=True)

    def over(self):
        """Nothing is left of it."""
        def given_back():
            now = self.held()
            return all(after <= before + more for after, before, more in zip(now, self.before, SLACK)) and now
        print(f"    threads, files, MB afterwards: {until('threads and files are given back', given_back, 60)[0]}")
        self.meshd.sound()
        self.meshd.stop()


def watched(part):
    def run(args, home):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        watch = Watched(args, home)
        try:
            part(args, watch)
            watch.over()
        finally:
            watch.meshd.close()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return run


def close(clients):
    for client in clients:
        client.close()


def readers(args, watch):
    for web in watch.webs:
        clients = []

        def listen(web=web, clients=clients):
            refused = 0
            for _ in range(args.readers):
                client = web.connect()
                client.sendall(web.head("GET", "/api/mesh/events"))
                clients.append(client)
            for client in clients[::10]:
                refused += not client.recv(65536).startswith(b"HTTP/1.1 200")
            time.sleep(3)
            for client in clients[::10]:
                refused += b"agent.synced" not in client.recv(1 << 20)
            if refused:
                raise Failed(f"{refused} of {len(clients[::10])} that read did not hear of edits")
            return f"{len(clients)} listen, {len(clients[::10])} of them read and hear"
        watch.during(f"{args.readers} readers at the {web.name}", listen)
        close(clients)


def connections(args, watch):
    for web in watch.webs:
        clients, counts = [], {}

        def connect(web=web, clients=clients, counts=counts):
            start = time.monotonic()
            for number in range(args.connections):
                try:
                    client = web.connect()
                    client.sendall((b"", b"GET /healthz HTTP/1.1\r\nHo", b"G")[number % 3])
                    clients.append(client)
                except OSError as error:
                    counts[type(error).__name__] = counts.get(type(error).__name__, 0) + 1
            took = time.monotonic() - start
            drips = clients[2::3][-100:]
            for _ in range(8):
                time.sleep(1)
                for client in drips:
                    try:
                        client.send(b"E")
                    except OSError:
                        pass
            for client in clients:
                client.setblocking(False)
                try:
                    end = "turned away" if client.recv(100) else "cut off"
                except BlockingIOError:
                    end = "still there"
                except OSError:
                    end = "cut off"
                counts[end] = counts.get(end, 0) + 1
            if counts.get("still there"):
                raise Failed(f"after 8 s: {counts}")
            return f"opened in {took:.1f} s, {counts}"
        watch.during(f"{args.connections} connections at the {web.name}", connect)
        close(clients)


def bodies(args, watch):
    size = args.megabytes * 1_000_000

    def send(web, chunked, headers=()):
        length = {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": size}
        piece, sent = b"x" * 65536, 0
        piece = b"10000\r\n" + piece + b"\r\n" if chunked else piece
        with web.connect() as client:
            try:
                client.sendall(web.head("POST", "/api/mesh/sync", {**length, **dict(headers)}))
                while sent < size:
                    client.sendall(piece)
                    sent += len(piece)
            except (BrokenPipeError, ConnectionResetError):
                pass
            return Answer(taken(client)).status, sent

    def every():
        said = []
        for web in watch.webs:
            for chunked in (False, True):
                status, sent = send(web, chunked)
                said.append(f"{status} after {sent / 1e6:.1f} MB")
                if status != 413:
                    raise Failed(f"a body of {args.megabytes} MB: {said[-1]}")
        status, sent = send(watch.webs[0], True, {"Authorization": None})
        if status != 401:
            raise Failed(f"a stranger's body: {status}")
        return ", ".join([*said, f"a stranger {status} after {sent / 1e6:.1f} MB"])
    watch.during(f"bodies of {args.megabytes} MB", every)

    def half_open():
        clients = []
        for number in range(200):
            client = watch.webs[0].connect()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            client.sendall(watch.webs[0].head("GET", "/api/mesh/agents"))
            if number % 2:
                client.shutdown(socket.SHUT_WR)
            clients.append(client)
        time.sleep(1)
        until("they are cut off", lambda: watch.held()[1] <= watch.before[1] + SLACK[1], 60)
        said = collections.Counter(client.recv(12)[9:].decode() or "nothing" for client in clients)
        close(clients)
        return f"200 take nothing of a big answer, half of them have closed their side: {dict(said)}"
    watch.during("half-open clients", half_open)


def strangers(_args, watch):
    tcp = watch.webs[0]
    wrong = [(401, {"Authorization": None}), (401, {"Authorization": "Bearer x"}), (403, {"Host": "evil.example"}),
             (403, {"Origin": "http://evil.example"})]

    def knock():
        for _ in range(200):
            for status, headers in wrong:
                if (answer := tcp.ask("GET", "/api/mesh/agents", headers=headers)).status != status:
                    raise Failed(f"{headers}: {answer.status}, and not {status}")
        return f"{200 * len(wrong)} refused"
    watch.during("strangers at the address", knock)
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        raise Skipped("another user needs root and setpriv")
    sock = os.path.join(watch.meshd.state_dir, "meshd.sock")
    code = "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); " \
           "s.sendall(b'GET /healthz HTTP/1.0\\r\\nHost: x\\r\\n\\r\\n'); sys.exit(bool(s.recv(100)))"
    # First as it is, then as if somebody had opened the files' modes: whoever connects is looked at, too.
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-c", code, sock]
    for opened in (False, True):
        if opened:
            path = sock
            os.chmod(path, 0o666)
            while (path := os.path.dirname(path)) not in ("/", "/tmp"):
                os.chmod(path, 0o755)
        done = subprocess.run(user, capture_output=True, check=False)
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        refusals = ("PermissionError", "ConnectionResetError", "BrokenPipeError")
        if not (done.returncode == 0 and opened) and not (said and said[0].startswith(refusals)):
            raise Failed(f"another user: exit {done.returncode}, {said}")
        print(f"    another user, files {'open' if opened else 'as they are'}: {said or 'hung up on'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readers", type=int, default=200)
    parser.add_argument("--connections", type=int, default=3000)
    parser.add_argument("--megabytes", type=int, default=20)
    parts = {"readers": readers, "connections": connections, "bodies": bodies, "strangers": strangers}
    return run_parts(parser, {name: watched(part) for name, part in parts.items()})


if __name__ == "__main__":
    sys.exit(main())
