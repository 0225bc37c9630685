#!/usr/bin/env python3
"""What a session costs that does nothing: memory of the gateway for each of a thousand, and of the server for scale.

Each is logged in with a token of its own caller; then each runs a statement, then fifty different ones, and is idle
again. Memory is what the process has (RSS) after less what it had before, by sessions; pgbouncer's in the same run. Of
the server it is what its processes have for themselves (PSS). Run by `./dev bench idle`.

Options: --sessions N (default 1,000), --json.
"""

import argparse
import json
import subprocess
import sys
import time

from stage import Client, Stage, memory_kib

SENSITIVE = 'sensitive = [{ column = "public.pgbench_accounts.filler", label = "filler" }]'


def server_kib(stage):
    """What the server's processes have, shared pages by their share."""
    parent = stage.processes[0].pid
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True, text=True).stdout.split()
    total = 0
    for pid in [str(parent), *children]:
        try:
            lines = open(f"/proc/{pid}/smaps_rollup").read().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total


def measure(way, sessions, memory):
    """Memory for each session after log-in, after one statement and after fifty, in KiB."""
    port, database, password, _ = way
    # What the first session makes the process read belongs to all of them.
    first = Client(port, database, password)
    first.query("SELECT abalance FROM pgbench_accounts WHERE aid = 1")
    time.sleep(1)
    before = memory()
    begin = time.monotonic()
    clients = [Client(port, database, password) for _ in range(sessions)]
    seconds = time.monotonic() - begin
    result = {"log_ins_per_second": sessions / seconds}
    for name, count in (("logged_in", 0), ("one_statement", 1), ("fifty_statements", 50)):
        for client in clients:
            for n in range(count):
                client.query(f"SELECT abalance AS a{n} FROM pgbench_accounts WHERE aid = {n + 1}")
        time.sleep(2)
        result[name] = (memory() - before) / sessions
    for client in [first, *clients]:
        client.socket.close()
    return result


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--sessions", type=int, default=1_000)
    options.add_argument("--json", action="store_true")
    options = options.parse_args()
    prepare = lambda stage: stage.program("pgbench", "-i", "-q", "-s", "1", "postgres")
    stage = Stage(prepare, {"bench": SENSITIVE}, most=options.sessions + 50)
    results = []
    try:
        for path, way in stage.paths().items():
            memory = (lambda: memory_kib(way[3])) if way[3] else (lambda: server_kib(stage))
            print(f"{options.sessions} sessions: {path}", file=sys.stderr)
            results.append({"path": path, "sessions": options.sessions} | measure(way, options.sessions, memory))
            # The server has to see them end.
            time.sleep(3)
    finally:
        stage.stop()
    if options.json:
        print(json.dumps(results, indent=1))
        return
    print("| path | sessions | KiB each, logged in | after a statement | after fifty | log-ins a second |")
    print("|---|---|---|---|---|---|")
    for row in results:
        name = "direct (the server's memory)" if row["path"] == "direct" else row["path"]
        print(f"| {name} | {row['sessions']} | {row['logged_in']:.1f} | {row['one_statement']:.1f} | {row['fifty_statements']:.1f} | "
              f"{row['log_ins_per_second']:.0f} |")


main()
