#!/usr/bin/env python3
"""monitoring.py: what people watch over meshd with, held against a meshd that runs.

  tests/monitoring.py [PART…] [--meshd FILE] [--keep]

  metrics     promtool finds nothing to say of /metrics, and its numbers are those of `status`, `list` and `events`
  bounds      a hundred namespaces and names that would like to be more than a label
  trouble     a relay that fails and a registry that is locked, and both well again
  rules       the alerts of monitoring/ are well-formed, fire when they should and are silent when all is well
  names       every metric that alerts, dashboard and README name is one of meshd's, and all of its are in the README
  prometheus  a real Prometheus scrapes it, and every query of alerts and dashboard has an answer
  level       the log's level changes while it runs, and a reload brings back what the configuration says

Promtool and Prometheus are Debian's `prometheus`. Exit status: 0 all hold, 1 not.
"""
import argparse
import collections
import contextlib
import datetime
import http.client
import http.server
import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from live import DEADLINE, TOP, Failed, Meshd, run_parts, until
from show import new_manifest, write

MONITORING = os.path.join(TOP, "monitoring")


# -- what is asked -------------------------------------------------------------------
class Local(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path):
        super().__init__("meshd", timeout=DEADLINE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def scrape(meshd):
    """The metrics as they are sent: content type and text."""
    connection = Local(os.path.join(meshd.state_dir, "meshd.sock"))
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        if answer.status != 200:
            raise Failed(f"/metrics answers with {answer.status}")
        return answer.getheader("content-type"), answer.read().decode("utf-8")
    finally:
        connection.close()


SAMPLE = re.compile(r"([a-z_]+)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


def samples(text):
    """Every sample by its name and labels."""
    found = {}
    for line in text.splitlines():
        if line.startswith("#") or not line:
            continue
        name, labels, value = SAMPLE.fullmatch(line).groups()
        key = (name, *sorted(LABEL.findall(labels or "")))
        if key in found:
            raise Failed(f"there are two of {key}")
        found[key] = float(value)
    return found


def by(found, name, label):
    """The sums of one metric by one of its labels."""
    sums = collections.Counter()
    for (other, *labels), value in found.items():
        if other == name:
            sums[dict(labels)[label]] += value
    return {key: value for key, value in sums.items() if value}


def sizes(meshd):
    found = samples(scrape(meshd)[1])
    return {label: value for (name, *labels), value in found.items() if name == "meshd_registry_size_bytes"
            for label in labels}


def same(what, one, other):
    if one != other:
        raise Failed(f"{what}: the metrics say {one}, and it is {other}")


def run(*command, text=""):
    """Runs a program that must have nothing to complain about; returns what it says."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        said = (done.stdout + done.stderr)[-3000:].strip()
        raise Failed(f"{' '.join(command[:3])} ended with {done.returncode}: {said}")
    return done.stdout + done.stderr


def well_formed(text):
    """Promtool parses the metrics, and has no advice: that ends with 3."""
    if said := run("promtool", "check", "metrics", text=text).strip():
        raise Failed(f"promtool says of the metrics: {said}")


def ended(at):
    return datetime.datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp()


@contextlib.contextmanager
def running(args, home, *roots, flags=(), inside=()):
    meshd = Meshd(args.meshd, roots, home, *flags, inside=inside)
    try:
        meshd.start().ready()
        yield meshd
        meshd.stop()
        meshd.sound()
    finally:
        meshd.close()


def fixtures(home):
    """A tree with two problems in it, and a root that is not there."""
    tree = os.path.join(home, "tree")
    shutil.copytree(os.path.join(TOP, "fixtures", "tree"), tree)
    return tree, os.path.join(home, "unplugged")


# -- the parts ------------------------------------------------------------------------
def metrics(args, home):
    tree, unplugged = fixtures(home)
    with running(args, home, tree, unplugged) as meshd:
        until("the torn manifest counts", lambda: len(meshd.problems()) == 2)
        shutil.rmtree(os.path.join(tree, "ops", "oncall"))
        until("an agent is unreachable", lambda: meshd.answer("status")["unreachableCount"] == 1)
        kind, text = scrape(meshd)
        same("the content type", kind, "text/plain; version=0.0.4; charset=utf-8")
        well_formed(text)
        found, status, agents = samples(text), meshd.answer("status"), meshd.agents()
        daemon = status["daemon"]
        same("agents", sum(by(found, "meshd_agents", "status").values()), status["totalAgents"])
        counts = {name: status[f"{name}Count"] for name in ("active", "inactive", "stale", "unreachable")}
        same("agents by status", by(found, "meshd_agents", "status"), {name: n for name, n in counts.items() if n})
        namespaces = collections.Counter(agent["namespace"] for agent in agents)
        same("agents by namespace", by(found, "meshd_agents", "namespace"), dict(namespaces))
        kinds = collections.Counter(problem["kind"] for problem in status["problems"])
        same("problems", by(found, "meshd_problems", "kind"), dict(kinds))
        same("roots", by(found, "meshd_roots", "state"), {"online": 1, "offline": 1})
        since = {root["path"]: ended(root["since"]) for root in status["roots"] if root["state"] == "offline"}
        same("offline roots", by(found, "meshd_root_offline_since_timestamp_seconds", "root"), since)
        told = collections.Counter(event["event"] for event in meshd.events())
        same("events", by(found, "meshd_events_total", "name"), dict(told))
        for name, value in {
            "meshd_ready": 1, "meshd_missed_events_total": status["missedEvents"], "meshd_watches": daemon["watches"],
            "meshd_watch_budget": daemon["watchBudget"], "meshd_cold_directories": daemon["coldDirectories"],
            "meshd_relay_pending": daemon["relay"]["pending"], "meshd_relay_failing": 0, "meshd_registry_writable": 1,
            "meshd_registry_errors_total": 0, "meshd_start_time_seconds": ended(daemon["startedAt"]),
            "meshd_last_sweep_timestamp_seconds": ended(daemon["lastSweep"]["at"]),
        }.items():
            same(name, found[name,], value)
        same("the version", by(found, "meshd_build_info", "version"), {daemon["version"]: 1})
        # A checkpoint may come in between.
        until("the sizes of the registry's files are told", lambda: sizes(meshd) == {
            ("file", file): os.stat(os.path.join(meshd.state_dir, path)).st_size
            for file, path in (("database", "registry.db"), ("log", "registry.db-wal"))})
        soon = found["meshd_next_sweep_timestamp_seconds",] - time.time()
        if not 0 < soon < 400:
            raise Failed(f"the next sweep is due in {soon:.0f} s, and every 5 minutes there is one")
        if not found["meshd_relay_calls_total", ("operation", "ensure_endpoint")] >= len(agents):
            raise Failed("the relay was asked for fewer endpoints than there are agents")
        same("failures of the relay", by(found, "meshd_relay_failures_total", "error"), {})
        meshd.answer("reconcile")
        after = samples(scrape(meshd)[1])
        same("sweeps after one more", after["meshd_sweeps_total",], found["meshd_sweeps_total",] + 1)
        if after["meshd_last_sweep_timestamp_seconds",] <= found["meshd_last_sweep_timestamp_seconds",]:
            raise Failed("a sweep ended, and the last one is as long ago as before")


def bounds(args, home):
    tree, unplugged = os.path.join(home, "tree"), os.path.join(home, 'un"plug\\ged\nmeshd_ready 0\x1b[2J')
    for number in range(300):
        # Three each of a hundred; the last ones lie about what they are.
        space = number % 100
        name = f"space-{space:02d}" if space < 90 else ["other", '"}\n', "a\\", "ünï"][space % 4] + str(space)
        write(os.path.join(tree, f"p{number}"), new_manifest(number, namespace="other" if space == 98 else name))
    write(os.path.join(tree, "big"), new_manifest(1000, namespace="zz-largest"))
    for number in range(5):
        write(os.path.join(tree, f"big{number}"), new_manifest(1001 + number, namespace="zz-largest"))
    with running(args, home, tree, unplugged) as meshd:
        text = scrape(meshd)[1]
        well_formed(text)
        spaces = by(samples(text), "meshd_agents", "namespace")
        total = meshd.answer("status")["totalAgents"]
        same("agents of all namespaces", sum(spaces.values()), total)
        if len(spaces) != 51 or spaces["zz-largest"] != 6 or spaces["other"] != total - 6 - 49 * 3:
            raise Failed(f"the largest 50 namespaces and the rest are not {spaces}")
        if len(text.splitlines()) > 500 or "\x1b" in text:
            raise Failed("the metrics are more than they should be, or act on a terminal")


def trouble(args, home):
    tree, away = os.path.join(home, "tree"), os.path.join(home, "relay.db")
    write(os.path.join(tree, "a"), new_manifest(1))
    with running(args, home, tree) as meshd:
        def numbers():
            text = scrape(meshd)[1]
            well_formed(text)
            return samples(text)
        relay = os.path.join(meshd.state_dir, "relay.db")
        until("the relay has the endpoint", lambda: numbers()["meshd_relay_pending",] == 0)
        os.rename(relay, away)
        os.mkdir(relay)
        write(os.path.join(tree, "b"), new_manifest(2))

        def failing():
            found = numbers()
            failures = sum(by(found, "meshd_relay_failures_total", "error").values())
            return found["meshd_relay_failing",] == 1 and found["meshd_relay_pending",] > 0 and failures > 0
        until("the relay fails", failing)
        os.rmdir(relay)
        os.rename(away, relay)
        # What it refused is asked for again by a sweep.
        meshd.answer("reconcile")
        until("nothing about it fails", lambda: numbers()["meshd_relay_failing",] == 0)
        until("everybody is reached again", lambda: numbers()["meshd_relay_pending",] == 0)
        # SQLite's own way to keep everybody from writing.
        registry = os.path.join(meshd.state_dir, "registry.db")
        with contextlib.closing(sqlite3.connect(registry, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            write(os.path.join(tree, "c"), new_manifest(3))
            until("the registry cannot be written", lambda: numbers()["meshd_registry_writable",] == 0, 60, 0.1)
            if sum(by(numbers(), "meshd_agents", "status").values()) != 2:
                raise Failed("what is in a registry that cannot be written is not told")
            other.execute("ROLLBACK")
        until("it can be written again", lambda: numbers()["meshd_registry_writable",] == 1, 60, 0.1)
        same("agents then", sum(by(numbers(), "meshd_agents", "status").values()), 3)
        if not numbers()["meshd_registry_errors_total",]:
            raise Failed("no error of the registry is counted")


def rules(_args, home):
    run("promtool", "check", "rules", os.path.join(MONITORING, "rules.yml"))
    run("promtool", "check", "config", "--syntax-only", os.path.join(MONITORING, "prometheus.yml"))
    run("promtool", "test", "rules", os.path.join(MONITORING, "rules.test.yml"))
    # Those of the dashboard, as rules: that is what promtool can parse.
    lines = ["groups:", "  - name: dashboard", "    rules:"]
    for number, query in enumerate(queries()):
        lines += [f"      - record: panel_{number}", f"        expr: {json.dumps(query)}"]
    path = os.path.join(home, "dashboard.yml")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    run("promtool", "check", "rules", path)


def queries():
    """Every query of the dashboard, as Grafana sends it."""
    with open(os.path.join(MONITORING, "dashboard.json"), encoding="utf-8") as file:
        dashboard = json.load(file)
    ids = [panel["id"] for panel in dashboard["panels"]]
    if len(set(ids)) != len(ids):
        raise Failed("two panels of the dashboard have one id")
    for panel in dashboard["panels"]:
        for part in [panel, *panel.get("targets", [])]:
            if panel["type"] != "row" and part["datasource"]["uid"] != "${datasource}":
                raise Failed(f"the panel `{panel['title']}` does not ask the data source that is chosen")
    if [variable["type"] for variable in dashboard["templating"]["list"]] != ["datasource", "query"]:
        raise Failed("the dashboard has not the variables that its queries use")
    found = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    return [query.replace("$instance", ".*").replace("$__rate_interval", "1m") for query in found]


def names(args, home):
    tree, unplugged = fixtures(home)
    with running(args, home, tree, unplugged) as meshd:
        text = scrape(meshd)[1]
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    real = set(kinds)
    for name, kind in kinds.items():
        if kind == "histogram":
            real |= {f"{name}_{part}" for part in ("bucket", "sum", "count")}
    for file in sorted(os.listdir(MONITORING)):
        with open(os.path.join(MONITORING, file), encoding="utf-8") as opened:
            named = set(re.findall(r"\bmeshd_[a-z_]+\b", opened.read()))
        if unknown := named - real - {"meshd_events"}:
            raise Failed(f"monitoring/{file} names what meshd has not: {', '.join(sorted(unknown))}")
        if file == "README.md" and (missing := set(kinds) - named):
            raise Failed(f"monitoring/README.md does not say what {', '.join(sorted(missing))} is")


class Proxy(http.server.BaseHTTPRequestHandler):
    """TCP to the socket: Prometheus has no Unix sockets."""

    def do_GET(self):  # the name that http.server wants
        kind, text = scrape(self.server.meshd)
        self.send_response(200)
        self.send_header("content-type", kind)
        self.end_headers()
        self.wfile.write(text.encode("utf-8"))

    def log_message(self, *_):
        pass


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def prometheus(args, home):
    tree, unplugged = fixtures(home)
    with running(args, home, tree, unplugged) as meshd, contextlib.ExitStack() as after:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
        server.meshd = meshd
        threading.Thread(target=server.serve_forever, daemon=True).start()
        after.callback(server.shutdown)
        config = {"global": {"evaluation_interval": "1s"}, "rule_files": [os.path.join(MONITORING, "rules.yml")],
                  "scrape_configs": [{"job_name": "meshd", "scrape_interval": "1s",
                                      "static_configs": [{"targets": [f"127.0.0.1:{server.server_port}"]}]}]}
        # What is JSON is YAML.
        with open(os.path.join(home, "prometheus.yml"), "w", encoding="utf-8") as file:
            json.dump(config, file)
        address = f"127.0.0.1:{free_port()}"
        with open(os.path.join(home, "prometheus.log"), "wb") as log:
            process = subprocess.Popen(["prometheus", f"--config.file={file.name}", f"--web.listen-address={address}",
                                        f"--storage.tsdb.path={home}/tsdb"], stdout=log, stderr=log)
        after.callback(process.wait)
        after.callback(process.kill)

        def ask(path, **parameters):
            url = f"http://{address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
            try:
                with urllib.request.urlopen(url, timeout=DEADLINE) as answer:
                    return json.load(answer)["data"]
            except urllib.error.HTTPError as error:
                raise Failed(f"{parameters or path}: {error.read().decode('utf-8', 'replace')}") from None
            except OSError:
                # It is starting.
                return None

        def value(query):
            data = ask("query", query=query)
            return data and data["result"]
        until("Prometheus has scraped meshd twice", lambda: value("count_over_time(meshd_ready[1m]) > 2"), 60, 0.2)
        target = ask("targets")["activeTargets"][0]
        if target["health"] != "up" or target["lastError"]:
            raise Failed(f"Prometheus cannot scrape it: {target['lastError']}")
        # Those that show only what is wrong have no answer while nothing is.
        silent = [query for query in queries() if not query.endswith("> 0") and not value(query)]
        if silent:
            raise Failed(f"no answer to {silent}")
        evaluated = lambda: all(rule["health"] == "ok" for group in ask("rules")["groups"] for rule in group["rules"])
        until("every alert rule is evaluated", evaluated, 60, 0.2)
        until("the unreadable manifest is about to be told",
              lambda: value('ALERTS{alertname="MeshdManifestsUnreadable",alertstate="pending"}'), 60, 0.2)
        alerts = {one["metric"]["alertname"] for one in value("ALERTS")}
        if others := alerts - {"MeshdManifestsUnreadable", "MeshdIdsInDispute"}:
            raise Failed(f"alerts that nothing is wrong about: {others}")


def level(args, home):
    tree, _ = fixtures(home)
    config = os.path.join(home, "config.toml")

    def configure(text):
        with open(config, "w", encoding="utf-8") as file:
            file.write(text)

    def swept():
        """How many sweeps the log tells of after one more: they are told at debug."""
        meshd.answer("reconcile")
        with open(meshd.log, "rb") as log:
            return sum(b"swept in" in line for line in log)
    configure("log_level = 'info'\n")
    with running(args, home, tree, flags=("--config", config)) as meshd:
        same("the level at the start", meshd.answer("log-level"), {"level": "info"})
        same("sweeps told at info", swept(), 0)
        same("the level that is set", meshd.answer("log-level", "debug"), {"level": "debug"})
        same("sweeps told at debug", swept(), 1)
        done = meshd.command("log-level", "loud")
        same("what a level that is none ends with", done.returncode, 2)
        connection = Local(os.path.join(meshd.state_dir, "meshd.sock"))
        connection.request("PUT", "/api/mesh/log-level", body='{"level":"loud"}')
        same("what the API says to it", connection.getresponse().status, 422)
        same("the level after that", meshd.answer("log-level"), {"level": "debug"})
        meshd.reload()
        until("a reload brings back what the configuration says",
              lambda: meshd.answer("log-level") == {"level": "info"})
        before = swept()
        same("sweeps told after that", swept(), before)
        configure("log_level = 'debug'\n")
        meshd.reload()
        until("a reload takes over a new level", lambda: meshd.answer("log-level") == {"level": "debug"})
        if swept() <= before:
            raise Failed("the reloaded level is said and not kept to")
        configure("log_level = 'loud'\n")
        meshd.reload()

        def refused():
            with open(meshd.log, "rb") as log:
                return b"was not reloaded" in log.read()
        until("a bad configuration is refused", refused)
        same("the level after a bad configuration", meshd.answer("log-level"), {"level": "debug"})
    same("what it ends with where no daemon is", meshd.command("log-level").returncode, 69)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    return run_parts(parser, {"metrics": metrics, "bounds": bounds, "trouble": trouble, "rules": rules, "names": names,
                              "prometheus": prometheus, "level": level})


if __name__ == "__main__":
    sys.exit(main())
