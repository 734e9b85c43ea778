#!/usr/bin/env python3
"""contract.py: what /openapi.json promises, held against what the real binary answers, by schemathesis over TCP.

  tests/contract.py [--seconds S] [--meshd FILE] [--keep]

A venv of its own is made below CARGO_TARGET_DIR or in a temporary directory, with what is in REQUIREMENTS. Exit status:
0 all hold, 1 not.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import venv

from api import served
from live import Failed, run_parts

REQUIREMENTS = ["schemathesis>=4.3,<5", "openapi-spec-validator>=0.7,<1"]

# Without: what generated data may be refused for is more than a schema can say (a path that is not there), and what is
# accepted too (a number as a query's text).
LEFT_OUT = "positive_data_acceptance,negative_data_rejection,missing_required_header"


def tools(home):
    """The directory of the commands."""
    directory = os.path.join(os.environ.get("CARGO_TARGET_DIR", home), "contract-venv")
    commands = os.path.join(directory, "bin")
    if not os.path.exists(os.path.join(commands, "schemathesis")):
        venv.create(directory, with_pip=True, clear=True)
        subprocess.run([os.path.join(commands, "pip"), "install", "--quiet", *REQUIREMENTS], check=True)
    return commands


def contract(args, home):
    commands = tools(home)
    meshd, _, (_, tcp) = served(args, home)
    try:
        described = os.path.join(home, "openapi.json")
        with open(described, "wb") as file:
            file.write(tcp.ask("GET", "/openapi.json").body)
        valid = subprocess.run([os.path.join(commands, "python"), "-m", "openapi_spec_validator", described],
                               capture_output=True, text=True, check=False)
        if valid.returncode:
            raise Failed(f"no valid OpenAPI: {valid.stdout[-1500:]}{valid.stderr[-500:]}")
        with open(described, encoding="utf-8") as file:
            print(f"    valid OpenAPI {json.load(file)['openapi']}")
        # Events have no end, and are in tests/api.py; the log is to stay readable.
        done = subprocess.run(
            [os.path.join(commands, "schemathesis"), "run", described, "--url", f"http://127.0.0.1:{tcp.port}",
             "--header", f"Authorization: Bearer {tcp.token()}", "--exclude-path", "/api/mesh/events",
             "--exclude-path", "/api/mesh/log-level", "--exclude-checks", LEFT_OUT, "--phases",
             "examples,coverage,fuzzing", "--max-time", str(args.seconds), "--seed", "1", "--no-color",
             "--continue-on-failure", "--warnings", "off", "--request-timeout", "20", "--output-sanitize", "true"],
            cwd=home, capture_output=True, text=True, timeout=args.seconds * 3 + 300, check=False)
        with open(os.path.join(home, "schemathesis.log"), "w", encoding="utf-8") as file:
            file.write(done.stdout + done.stderr)
        print("    " + "\n    ".join(line for line in done.stdout.splitlines() if re.search(r"\d+ (generated|passed|found)", line)))
        if done.returncode:
            raise Failed(done.stdout[-6000:] + done.stderr[-1000:])
        meshd.sound()
        meshd.stop()
    finally:
        meshd.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="how long it may try")
    return run_parts(parser, {"contract": contract})


if __name__ == "__main__":
    sys.exit(main())
