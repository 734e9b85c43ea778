#!/usr/bin/env python3
"""api.py: every route of the API, with good and bad input, at the socket and at the loopback address of the real binary.

  tests/api.py [PART…] [--meshd FILE] [--keep]

  routes       every route: what it answers, and how it refuses
  door         the loopback address: token, Host, Origin, a link and its session; and sizes
  events       numbered without gaps, resumed, and resync where the past is gone
  life         it starts and ends, its address is taken, nobody reads its log: nothing that was asked or told is lost
  description  /openapi.json names every route; valid where `openapi-spec-validator` is installed

Exit status: 0 all hold, 1 not.
"""
import argparse
import contextlib
import itertools
import json
import os
import socket
import sqlite3
import sys
import threading
import time
from urllib.parse import quote

from live import DEADLINE, Failed, Meshd, run_parts, until
from show import load, new_manifest, save, write
from web import Answer, Web, free_port, taken

PROBLEM = "application/problem+json"

# An id that nobody has.
NOBODY = "01ARZ3NDEKTSV4RRFFQ69G5FAV"

ROUTES = {
    "/healthz": "get", "/readyz": "get", "/metrics": "get", "/api/mesh/events": "get", "/api/mesh/status": "get",
    "/api/mesh/daemon": "get", "/api/mesh/agents": "get post", "/api/mesh/agents/{id}": "get patch delete",
    "/api/mesh/agents/{id}/health": "get", "/api/mesh/agents/{id}/explain": "get",
    "/api/mesh/agents/{id}/heartbeat": "post", "/api/mesh/agents/{id}/relocate": "post", "/api/mesh/discover": "post",
    "/api/mesh/deny": "post", "/api/mesh/denied": "get", "/api/mesh/denied/{path}": "delete", "/api/mesh/sync": "post",
    "/api/mesh/reconcile": "post", "/api/mesh/problems": "get", "/api/mesh/roots": "get",
    "/api/mesh/roots/accept": "post", "/api/mesh/sweeps": "get", "/api/mesh/topology": "get",
    "/api/mesh/topology/access": "put", "/api/mesh/log-level": "get put",
}


def expect(what, is_so):
    if not is_so:
        raise Failed(what)


def asked(web, status, method, target, body=None, headers=()):
    """Asks, and holds the answer against the status that is right; what fails is a problem."""
    answer = web.ask(method, target, body, headers)
    said = f"{web.name}: {method} {target} {str(body)[:60]}: {answer.status} {answer.body[:300]!r}, and not {status}"
    expect(said, answer.status == status)
    if status >= 400:
        expect(f"{said}: {answer.headers}", answer.headers.get("content-type") == PROBLEM)
        problem = answer.json()
        expect(said, problem["status"] == status and problem["title"] and problem["detail"])
    return answer


def served(args, home, *flags):
    """A daemon with two agents, at its socket and at a loopback address."""
    tree, port = os.path.join(home, "tree"), free_port()
    for number in range(2):
        write(os.path.join(tree, f"p{number}"), new_manifest(number))
    meshd = Meshd(args.meshd, [tree], home, "--sweep-interval", "1h", "--http", f"127.0.0.1:{port}", *flags)
    meshd.start().ready()
    until("the relay has them", lambda: all(agent["relay"] == "registered" for agent in meshd.agents()))
    return meshd, tree, [Web(meshd.state_dir), Web(meshd.state_dir, port)]


def routes(args, home):
    meshd, tree, webs = served(args, home)
    try:
        for web in webs:
            looks(meshd, tree, web)
            changes(meshd, tree, web)
            paths(meshd, tree, web)
            own_keys(meshd, tree, web)
            nonsense(web, meshd.agents()[0]["id"])
        not_ready(meshd, tree, webs)
        meshd.sound()
        meshd.stop()
    finally:
        meshd.close()


def looks(meshd, tree, web):
    expect("healthz", asked(web, 200, "GET", "/healthz").body == b"ok\n")
    expect("readyz", asked(web, 200, "GET", "/readyz").body == b"ready\n")
    expect("metrics", b"\nmeshd_watches " in asked(web, 200, "GET", "/metrics").body)
    listed = asked(web, 200, "GET", "/api/mesh/agents").json()
    expect("the list is that of `meshd list`", listed == meshd.answer("list"))
    status, said = asked(web, 200, "GET", "/api/mesh/status").json(), meshd.answer("status")
    expect(f"status is that of `meshd status`: {status} {said}", status == said)
    one = listed["agents"][0]
    agent = f"/api/mesh/agents/{one['id']}"
    expect("one agent", asked(web, 200, "GET", agent).json() == one == meshd.agent(one["id"]))
    expect("health", asked(web, 200, "GET", f"{agent}/health").json()["status"] == "active")
    expect("explain", asked(web, 200, "GET", f"{agent}/explain").json()["because"])
    expect("HEAD", asked(web, 200, "HEAD", agent).body == b"")
    for query, count in ((f"runtime={one['runtime']}&status=active", True), ("capability=none-such", False),
                         ("namespace=none-such", False), ("status=unreachable", False)):
        found = asked(web, 200, "GET", f"/api/mesh/agents?{query}").json()["agents"]
        expect(f"{query}: {found}", bool(found) == count)
    for key in ("problems", "roots", "sweeps", "denied"):
        expect(key, isinstance(asked(web, 200, "GET", f"/api/mesh/{key}").json()[key], list))
    topology = asked(web, 200, "GET", "/api/mesh/topology").json()
    expect("topology", {"namespaces", "access"} <= set(topology))
    expect("daemon", asked(web, 200, "GET", "/api/mesh/daemon").json()["pid"] == meshd.process.pid)
    level = asked(web, 200, "GET", "/api/mesh/log-level").json()
    expect("log level", asked(web, 200, "PUT", "/api/mesh/log-level", level).json() == level)
    expect("roots", asked(web, 200, "GET", "/api/mesh/roots").json()["roots"][0]["path"] == tree)


def changes(meshd, tree, web):
    project = os.path.join(tree, f"new-{web.name}")
    os.mkdir(project)
    request = {"path": project, "overrides": {"name": "new", "runtime": "claude-code", "description": "d"}}
    answer = asked(web, 201, "POST", "/api/mesh/agents", request)
    agent = answer.headers["location"]
    expect("Location", agent == f"/api/mesh/agents/{answer.json()['id']}")
    expect("registered", asked(web, 200, "GET", agent).json() == answer.json())
    asked(web, 409, "POST", "/api/mesh/agents", request)
    # What this program does not know stays as it is.
    manifest = {**load(project), "x-other": {"deep": [1, 2.50, "\u00e9", None]}}
    save(project, manifest)
    until("the edit is there", lambda: "x-other" in web.ask("GET", agent).json())
    changed = asked(web, 200, "PATCH", agent, {"name": "changed", "description": None}).json()
    expect("PATCH", changed["name"] == "changed" and not changed.get("description"))
    after = load(project)
    expect("null clears", "description" not in after and after["name"] == "changed")
    expect("unknown keys stay", after["x-other"] == manifest["x-other"])
    asked(web, 422, "PATCH", agent, {"name": ""})
    asked(web, 422, "PATCH", agent, {"runtime": 7})
    for body in (None, {}, {"event": "tool"}):
        expect("heartbeat", asked(web, 200, "POST", f"{agent}/heartbeat", body).json() is None)
    expect("heard", asked(web, 200, "GET", f"{agent}/health").json()["lastSeenEvent"] == "tool")
    asked(web, 200, "POST", f"{agent}/relocate", {"path": project})
    asked(web, 409, "POST", f"{agent}/relocate", {"path": f"{project}-none"})
    expect("sync", asked(web, 200, "POST", "/api/mesh/sync", {"path": project}).json())
    gone = asked(web, 200, "DELETE", f"{agent}?keepManifest=true").json()
    expect(f"kept: {gone}", gone["manifest"] == "kept" and os.path.exists(os.path.join(project, ".dork/agent.json")))
    asked(web, 404, "GET", agent)
    asked(web, 403, "POST", "/api/mesh/agents", {**request, "replace": True})
    asked(web, 204, "DELETE", f"/api/mesh/denied/{quote(project, safe='')}")
    asked(web, 404, "DELETE", f"/api/mesh/denied/{quote(project, safe='')}")
    asked(web, 200, "POST", "/api/mesh/sync", {"path": project})
    back = until("it is back", lambda: [one for one in meshd.agents() if one["projectPath"] == project])[0][0]
    gone = asked(web, 200, "DELETE", f"/api/mesh/agents/{back['id']}").json()
    expect(f"deleted: {gone}", gone["manifest"] == "deleted")
    asked(web, 422, "POST", "/api/mesh/agents", {**request, "path": os.path.dirname(tree)})
    access = {"from": "a", "to": "b", "access": "allow"}
    expect("access", asked(web, 200, "PUT", "/api/mesh/topology/access", access).json() is None)
    expect("access is told", any((pair["from"], pair["to"], pair["access"]) == ("a", "b", "allow")
                                 for pair in asked(web, 200, "GET", "/api/mesh/topology").json()["access"]))
    for body in (None, {}, {"roots": [tree]}):
        expect("reconcile", "discovered" in asked(web, 200, "POST", "/api/mesh/reconcile", body).json())
    asked(web, 200, "POST", "/api/mesh/roots/accept", {"root": tree})


def paths(meshd, tree, web):
    """A path that is not UTF-8, registered, denied and taken back; and what looks like a project."""
    raw = os.fsencode(tree) + b"/\xff" + web.name.encode()
    os.mkdir(raw)
    hexed = {"hex": raw.hex()}
    request = {"path": hexed, "overrides": {"name": "bytes", "runtime": "codex"}}
    agent = asked(web, 201, "POST", "/api/mesh/agents", request).json()
    expect(f"its bytes: {agent}", agent["projectPathHex"] == raw.hex())
    gone = asked(web, 200, "DELETE", f"/api/mesh/agents/{agent['id']}").json()
    expect("its bytes", gone["projectPathHex"] == raw.hex())
    expect("deny", asked(web, 200, "POST", "/api/mesh/deny", {"path": hexed, "reason": "r"}).json() is None)
    denied = asked(web, 200, "GET", "/api/mesh/denied").json()["denied"]
    expect(f"denied: {denied}", any(one.get("pathHex") == raw.hex() and one["reason"] == "r" for one in denied))
    asked(web, 204, "DELETE", f"/api/mesh/denied/{quote(raw, safe='')}")
    asked(web, 404, "DELETE", f"/api/mesh/denied/{quote(raw, safe='')}")
    asked(web, 400, "DELETE", "/api/mesh/denied/relative")
    link, place = os.path.join(tree, f"link-{web.name}"), os.path.join(tree, f"place-{web.name}")
    os.mkdir(place)
    os.symlink(place, link)
    asked(web, 200, "POST", "/api/mesh/deny", {"path": f"{link}/x/..//y/"})
    denied = asked(web, 200, "GET", "/api/mesh/denied").json()["denied"]
    expect(f"one place has one spelling: {denied}", [one["path"] for one in denied] == [f"{place}/y"])
    asked(web, 204, "DELETE", f"/api/mesh/denied/{quote(f'{link}/y', safe='')}")
    deep = os.path.join(tree, f"look-{web.name}", "one", "two")
    os.makedirs(deep)
    with open(os.path.join(deep, "CLAUDE.md"), "wb"):
        pass

    def found(body):
        candidates = asked(web, 200, "POST", "/api/mesh/discover", body).json()["candidates"]
        return [one["path"] for one in candidates]
    expect("discover", deep in found({"roots": [tree]}) and deep in found(None))
    expect("maxDepth", deep not in found({"maxDepth": 1}))


def own_keys(meshd, tree, web):
    """A manifest that says what only meshd says."""
    project = os.path.join(tree, f"liar-{web.name}")
    lies = {"projectPath": "/etc", "projectPathHex": "2f", "status": "dead", "relay": "x", "damaged": "no", "scanRoot": 1}
    write(project, {**new_manifest(70 + len(web.name)), **lies, "x-own": 1})
    agent = until("the liar is there", lambda: [one for one in meshd.agents() if one["projectPath"] == project])[0][0]

    def once(pairs):
        keys = [key for key, _ in pairs]
        expect(f"every key once: {keys}", len(keys) == len(set(keys)))
        return dict(pairs)
    answer = asked(web, 200, "GET", f"/api/mesh/agents/{agent['id']}")
    told = json.loads(answer.body, object_pairs_hook=once)
    expect(f"nothing of it is believed: {told}", told["status"] == "active" and told["x-own"] == 1
           and not {"projectPathHex", "damaged"} & set(told))


def nonsense(web, agent):
    one = f"/api/mesh/agents/{agent}"
    posts = [("POST", "/api/mesh/agents"), ("PATCH", one), ("POST", f"{one}/heartbeat"), ("POST", f"{one}/relocate"),
             ("POST", "/api/mesh/discover"), ("POST", "/api/mesh/deny"), ("POST", "/api/mesh/sync"),
             ("POST", "/api/mesh/reconcile"), ("POST", "/api/mesh/roots/accept"), ("PUT", "/api/mesh/topology/access"),
             ("PUT", "/api/mesh/log-level")]
    for method, target in posts:
        for bad in (b"{", b"nul", b"{} x", b"\xff", b'{"a": "\xff"}', b"[" * 1000):
            asked(web, 400, method, target, bad)
        for senseless in (b"1", b'"x"', b'[["x"]]'):
            asked(web, 422, method, target, senseless)
        asked(web, 413, method, target, b" " * (1024 * 1024 + 1))
    for target in ("/api/mesh/sync", "/api/mesh/deny"):
        for path in ("relative", "/nul\0", {"hex": "2f6"}, 7, None):
            asked(web, 422, "POST", target, {"path": path})
    asked(web, 422, "POST", "/api/mesh/discover", {"maxDepth": 65})
    asked(web, 422, "POST", "/api/mesh/discover", {"maxDepth": -1})
    asked(web, 422, "PUT", "/api/mesh/topology/access", {"from": "a", "to": "b", "access": "perhaps"})
    asked(web, 422, "PUT", "/api/mesh/log-level", {"level": "loud"})
    for query in ("status=well", "runtime=none-such", "colour=red", "status=active&status=active"):
        asked(web, 400, "GET", f"/api/mesh/agents?{query}")
    for nobody in (NOBODY, "x", "%00", quote("\u00e9"), "a" * 5000):
        for rest in ("", "/health", "/explain"):
            asked(web, 404, "GET", f"/api/mesh/agents/{nobody}{rest}")
    asked(web, 400, "GET", "/api/mesh/agents/%FF")
    asked(web, 400, "DELETE", f"{one}?keepManifest=perhaps")
    asked(web, 400, "GET", "/api/mesh/events?after=x")
    asked(web, 400, "GET", "/api/mesh/events", headers={"Last-Event-ID": "x"})
    asked(web, 404, "PATCH", f"/api/mesh/agents/{NOBODY}", {"name": "x"})
    asked(web, 404, "DELETE", f"/api/mesh/agents/{NOBODY}")
    asked(web, 404, "POST", f"/api/mesh/agents/{NOBODY}/heartbeat")
    for target in ("/api", "/api/mesh/none", "/api/mesh/agents/a/b/c", "/%FF", "/api/mesh/status/"):
        asked(web, 404, "GET", target)
    for target, methods in ROUTES.items():
        for method in {"get", "post", "put", "patch", "delete", "options", "trace"} - set(methods.split()):
            refused = asked(web, 405, method.upper(), target.replace("{id}", agent).replace("{path}", "%2Fx"))
            allowed = {name.strip().lower() for name in refused.headers["allow"].split(",")}
            expect(f"{target} allows {allowed}", allowed - {"head"} == set(methods.split()))


def not_ready(meshd, tree, webs):
    """A root that is away: not ready, with reasons; and its agents cannot be let go."""
    agent = meshd.agents()[0]["id"]
    os.rename(tree, f"{tree}-away")
    until("the root is offline", lambda: meshd.root(tree)["state"] == "offline")
    for web in webs:
        reasons = asked(web, 503, "GET", "/readyz").json()["reasons"]
        expect(f"reasons: {reasons}", any(tree in reason for reason in reasons))
        asked(web, 409, "DELETE", f"/api/mesh/agents/{agent}")
    os.rename(f"{tree}-away", tree)
    until("ready again", lambda: all(web.ask("GET", "/readyz").status == 200 for web in webs))


def door(args, home):
    meshd, _, (at_socket, tcp) = served(args, home)
    try:
        everywhere = ["/api/mesh/status", "/api/mesh/events", "/metrics", "/openapi.json", "/readyz", "/none"]
        for target in everywhere:
            for wrong in (None, "Bearer", "Bearer x", f"Basic {tcp.token()}", tcp.token()):
                refused = asked(tcp, 401, "GET", target, headers={"Authorization": wrong})
                expect("WWW-Authenticate", refused.headers["www-authenticate"].startswith("Bearer"))
        for target in [*everywhere, "/", "/healthz", "/page/x"]:
            for host in (None, "evil.example", f"evil.example:{tcp.port}", "127.0.0.1", f"127.0.0.1:{tcp.port + 1}"):
                asked(tcp, 403, "GET", target, headers={"Host": host})
            for origin in ("http://evil.example", "null", f"https://127.0.0.1:{tcp.port}"):
                asked(tcp, 403, "GET", target, headers={"Origin": origin})
        for own in (f"127.0.0.1:{tcp.port}", f"localhost:{tcp.port}"):
            answer = asked(tcp, 200, "GET", "/api/mesh/status", headers={"Host": own, "Origin": f"http://{own}"})
            expect("no CORS, no cookies", not any(name.startswith(("access-control", "set-cookie"))
                                                  for name in answer.headers))
        stranger = {"Authorization": None}
        for target in ("/", "/healthz"):
            asked(tcp, 200, "GET", target, headers=stranger)
        expect("a policy", "default-src 'none'" in asked(tcp, 200, "GET", "/").headers["content-security-policy"])
        asked(tcp, 400, "GET", "/page/%FF", headers=stranger)
        asked(tcp, 404, "GET", "/page/none", headers=stranger)
        # A stranger's body is not even taken in.
        asked(tcp, 401, "POST", "/api/mesh/sync", b"x" * (1024 * 1024), stranger)
        asked(tcp, 413, "POST", "/api/mesh/session", b"x" * 10_000, stranger)
        asked(tcp, 404, "POST", "/api/mesh/link")
        asked(tcp, 404, "POST", "/api/mesh/holds", {})
        url = meshd.answer("open")["url"]
        code = {"code": url.split("#code=")[1]}
        expect(url, url.startswith(f"http://127.0.0.1:{tcp.port}/#code="))
        token = asked(tcp, 200, "POST", "/api/mesh/session", code, stranger).json()["token"]
        expect("the token", token == tcp.token())
        for used_up in (code, {"code": ""}, {"code": "x"}):
            asked(tcp, 401, "POST", "/api/mesh/session", used_up, stranger)
        asked(tcp, 422, "POST", "/api/mesh/session", {}, stranger)
        mode = os.stat(os.path.join(meshd.state_dir, "http.token")).st_mode & 0o777
        expect(f"the token's file has {mode:o}", mode == 0o600)
        for web in (at_socket, tcp):
            slow(web)
        meshd.sound()
        meshd.stop()
    finally:
        meshd.close()


def slow(web):
    """Half a body, half a head, too large a head: each comes to an end."""
    with web.connect() as client:
        client.sendall(web.head("POST", "/api/mesh/sync", {"Content-Length": 100}) + b"{")
        expect("half a body is answered with 408", Answer(taken(client)).status == 408)
    for half in (b"", b"GET /healthz HTTP/1.1\r\nHost"):
        with web.connect() as client:
            client.sendall(half)
            taken(client)
    with web.connect() as client:
        try:
            client.sendall(web.head("GET", "/healthz", {"X": "x" * 100_000}))
        except (BrokenPipeError, ConnectionResetError):
            pass
        raw = taken(client)
        expect(f"a head of 100 kB: {raw[:50]!r}", raw == b"" or Answer(raw).status == 431)


def events(args, home):
    meshd, tree, webs = served(args, home)
    try:
        for web in webs:
            told = meshd.events()
            last = told[-1]["seq"]
            for again in (web.listen("/api/mesh/events?after=0"), web.listen(headers={"Last-Event-ID": 0})):
                heard = list(itertools.islice(again.events(), len(told)))
                expect("as `meshd events` says", [data for _, _, data in heard] == told)
                expect("names and numbers", all((number, name) == (data["seq"], data["event"])
                                                for number, name, data in heard))
                again.close()
            live, resumed = web.listen(), web.listen(headers={"Last-Event-ID": last - 1})
            heard, after = live.events(), resumed.events()
            expect("resumed", next(after)[0] == last)
            project = os.path.join(tree, "p0")
            save(project, {**load(project), "name": f"edited-{web.name}"})
            start = time.monotonic()
            number, name, data = next(heard)
            print(f"    {web.name}: an edit is told after {1000 * (time.monotonic() - start):.1f} ms")
            expect(f"{name} {data}", name == "agent.synced" and number == last + 1 and data["projectPath"] == project)
            expect("both hear it", next(after)[0] == number)
            live.close()
            resumed.close()
            future = web.listen(f"/api/mesh/events?after={last + 1000}")
            expect("resync", next(future.events())[:2] == (number, "resync"))
            future.close()
        # As if the oldest were so many that they were dropped.
        with contextlib.closing(sqlite3.connect(os.path.join(meshd.state_dir, "registry.db"))) as registry, registry:
            registry.execute("DELETE FROM events WHERE seq <= 2")
        for web in webs:
            for after, name in ((1, "resync"), (2, meshd.events()[0]["event"])):
                dropped = web.listen(f"/api/mesh/events?after={after}")
                expect(f"after {after} comes {name}", next(dropped.events())[1] == name)
                dropped.close()
        live = [web.listen() for web in webs]
        heard = [one.events() for one in live]
        # Who has heard something new reads no past any more, and is not cut off when that is gone.
        save(os.path.join(tree, "p1"), {**load(os.path.join(tree, "p1")), "name": "heard"})
        for one in heard:
            expect("the edit is heard", next(one)[1] == "agent.synced")
        for suffix in ("", "-wal", "-shm"):
            os.remove(os.path.join(meshd.state_dir, f"registry.db{suffix}"))
        meshd.answer("reconcile")
        for one in heard:
            expect("resync after the registry is gone", any(name == "resync" for _, name, _ in itertools.islice(one, 5)))
        write(os.path.join(tree, "later"), new_manifest(9))
        for one in heard:
            while (event := next(one))[1] != "agent.registered" or not event[2]["projectPath"].endswith("/later"):
                pass
        quiet = live[0].lines()
        start = time.monotonic()
        while next(quiet) != b":":
            pass
        expect("a comment every 15 s", time.monotonic() - start < 20)
        for one in live:
            one.close()
        meshd.consistent()
        meshd.sound()
        meshd.stop()
    finally:
        meshd.close()


def life(args, home):
    meshd, tree, (at_socket, tcp) = served(args, home)
    try:
        cut_short(meshd, tree, at_socket)
        comes_back(meshd, tree, at_socket)
        meshd.stop()
        taken_address(meshd, tcp)
        meshd.stop()
    finally:
        meshd.close()
    unread(args, home, tree)


def cut_short(meshd, tree, web):
    """SIGTERM while agents are registered: who has a manifest was told so."""
    overrides, answered, begun = {"name": "new", "runtime": "codex"}, set(), threading.Event()

    def register(thread):
        for number in range(200):
            project = os.path.join(tree, f"cut-{thread}-{number}")
            os.mkdir(project)
            try:
                if web.ask("POST", "/api/mesh/agents", {"path": project, "overrides": overrides}).status == 201:
                    answered.add(project)
            except (Failed, OSError):
                return
            begun.set()
    threads = [threading.Thread(target=register, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    if not begun.wait(DEADLINE):
        raise Failed("nothing was registered")
    time.sleep(0.1)
    took = meshd.stop()
    for thread in threads:
        thread.join()
    written = {os.path.join(tree, name) for name in os.listdir(tree)
               if name.startswith("cut-") and os.path.exists(os.path.join(tree, name, ".dork", "agent.json"))}
    expect(f"registered and not told: {written - answered}", written == answered)
    print(f"    ended within {took:.2f} s in the middle of registrations: {len(written)} made, all told")


def comes_back(meshd, tree, web):
    """Somebody who comes back while the daemon starts hears of everything, once."""
    last = meshd.events()[-1]["seq"]
    for number in range(300):
        write(os.path.join(tree, f"late-{number}"), new_manifest(100 + number))
    meshd.start()
    reader = until("somebody listens", lambda: listens(web, last))[0]
    meshd.ready()
    write(os.path.join(tree, "last"), new_manifest(500))
    heard = []
    for number, name, data in reader.events():
        heard.append((number, name))
        if name == "agent.registered" and data["projectPath"].endswith("/last"):
            break
    reader.close()
    numbers = [number for number, _ in heard]
    expect(f"without gaps: {numbers}", numbers == list(range(last + 1, last + 1 + len(numbers))))
    expect("no resync", all(name != "resync" for _, name in heard) and len(heard) > 300)


def listens(web, last):
    try:
        return web.listen(headers={"Last-Event-ID": last})
    except (OSError, IndexError):
        return None


def taken_address(meshd, tcp):
    """Somebody else has the address: everything else is done, and it is served as soon as it is free."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", tcp.port))
        other.listen()
        meshd.start().ready()
        web = Web(meshd.state_dir)
        reasons = until("readyz says why", lambda: web.ask("GET", "/readyz").json().get("reasons"))[0]
        expect(f"reasons: {reasons}", any("cannot serve HTTP" in reason for reason in reasons))
        expect("`meshd open` says why", b"cannot serve HTTP" in meshd.command("open").stderr)
    until("it is served", lambda: accepts(tcp))
    asked(tcp, 200, "GET", "/readyz")


def accepts(web):
    try:
        web.connect().close()
        return True
    except OSError:
        return False


def unread(args, home, tree):
    """A log that nobody reads: the daemon is unmoved."""
    home = os.path.join(home, "unread")
    os.mkdir(home)
    pipe = os.path.join(home, "pipe")
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    meshd = Meshd(args.meshd, [tree], home, "--sweep-interval", "1h", inside=["sh", "-c", 'exec "$@" 2>"$0"', pipe])
    try:
        meshd.start().ready()
        for number in range(300):
            write(os.path.join(tree, f"late-{number}"), {**new_manifest(100 + number), "name": "n" * 200})
        until("every edit is there", lambda: sum(one["name"] == "n" * 200 for one in meshd.agents()) == 300)
        took = meshd.stop()
        print(f"    with a log that nobody reads: 300 edits are there, ended within {took:.1f} s")
    finally:
        meshd.close()
        os.close(reader)


def description(args, home):
    meshd, _, webs = served(args, home)
    try:
        for web in webs:
            described = asked(web, 200, "GET", "/openapi.json").json()
            expect("OpenAPI 3.1", described["openapi"].startswith("3.1"))
            routes_there = {path: set(methods) for path, methods in described["paths"].items()}
            wanted = {path: set(methods.split()) for path, methods in ROUTES.items()}
            if web.port:
                wanted["/api/mesh/session"] = {"post"}
            expect(f"routes: {routes_there} {wanted}", routes_there == wanted)
            for path, methods in described["paths"].items():
                for operation in methods.values():
                    answers = operation["responses"]
                    expect(f"{path}: {list(answers)}", {"401", "403", "408", "413", "500", "503"} <= set(answers))
                    expect(path, all(answer["description"] for answer in answers.values()))
            try:
                from openapi_spec_validator import validate
            except ImportError:
                print("    openapi-spec-validator is not installed: not validated")
            else:
                validate(described)
                print(f"    {web.name}: valid, {sum(map(len, routes_there.values()))} operations")
        meshd.stop()
    finally:
        meshd.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parts = {"routes": routes, "door": door, "events": events, "life": life, "description": description}
    return run_parts(parser, parts)


if __name__ == "__main__":
    sys.exit(main())
