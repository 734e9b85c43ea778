"""web.py: asks a meshd that really runs over HTTP, at its socket and at its loopback address. Plain sockets: what is sent
is what a test says, however wrong."""
import json
import os
import socket

from live import DEADLINE, Failed


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Answer:
    def __init__(self, raw):
        head, _, self.body = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        words = lines[0].split(" ")
        if len(words) < 2 or not words[1].isdigit():
            raise Failed(f"no answer: {raw[:100]!r}")
        self.status = int(words[1])
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}

    def json(self):
        return json.loads(self.body)


class Web:
    """One way to ask: `port` is the loopback address, without it the socket is meant."""

    def __init__(self, state_dir, port=None):
        self.state_dir, self.port = state_dir, port
        self.name = "socket" if port is None else "tcp"

    def token(self):
        with open(os.path.join(self.state_dir, "http.token"), encoding="ascii") as file:
            return file.read().strip()

    def connect(self, timeout=DEADLINE):
        client = socket.socket(socket.AF_UNIX if self.port is None else socket.AF_INET)
        client.settimeout(timeout)
        client.connect(os.path.join(self.state_dir, "meshd.sock") if self.port is None else ("127.0.0.1", self.port))
        return client

    def head(self, method, target, headers=()):
        """The head of a request that may come in; `headers` replace those of the same name, None takes one out."""
        given = {"Host": f"127.0.0.1:{self.port}" if self.port else "meshd"}
        if self.port:
            given["Authorization"] = f"Bearer {self.token()}"
        given.update(dict(headers))
        lines = [f"{name}: {value}" for name, value in given.items() if value is not None]
        return "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""]).encode("latin-1")

    def ask(self, method, target, body=None, headers=()):
        """One request; a body that is not bytes is sent as JSON."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        headers = dict(headers)
        if body is not None:
            headers.setdefault("Content-Length", len(body))
        with self.connect() as client:
            try:
                client.sendall(self.head(method, target, headers) + (body or b""))
            except (BrokenPipeError, ConnectionResetError):
                pass  # Cut off, mostly after an answer.
            return Answer(taken(client))

    def listen(self, target="/api/mesh/events", headers=()):
        client = self.connect()
        client.sendall(self.head("GET", target, headers))
        return Listener(client)


def taken(client):
    """All that comes until the end."""
    raw = b""
    try:
        while piece := client.recv(65536):
            raw += piece
    except ConnectionResetError:
        pass
    return raw


class Listener:
    """Reads server-sent events."""

    def __init__(self, client):
        self.client, self.file = client, client.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        while self.file.readline().strip():
            pass

    def lines(self):
        """The lines of the stream, out of its chunks."""
        rest = b""
        while size := int(self.file.readline() or b"0", 16):
            rest += self.file.read(size)
            self.file.readline()
            *lines, rest = rest.split(b"\n")
            yield from lines

    def events(self):
        """(id, name, data) of each event."""
        fields = {}
        for line in self.lines():
            if line:
                name, _, value = line.decode().partition(": ")
                fields[name] = value
            elif "event" in fields:
                yield int(fields["id"]), fields["event"], json.loads(fields["data"])
                fields = {}

    def close(self):
        self.file.close()
        self.client.close()
