#!/usr/bin/env python3
"""A million rows with a masked column in them: direct, through Portcullis with and without detectors, through pgbouncer.

Text, binary (extended protocol) and COPY. Of the gateway also the CPU time for a gigabyte sent to the client, and the
most memory it had beyond what it had before. Run by `./dev bench stream`; ratios in one run.

Options: --rows N (default 1,000,000), --rounds N (default 3), --json.
"""

import argparse
import json
import statistics
import sys
import time

from stage import Client, Stage, cpu_ms, forget_peak, memory_kib

MASKED = 'sensitive = [{ column = "public.people.email", label = "email", mask = "partial" }]\n'
TABLE = """CREATE TABLE people AS SELECT i AS id, 'somebody' || i || '@example.com' AS email, 'a street, number ' || i % 500 AS street,
 (i % 100000)::numeric / 100 AS total, timestamptz '2026-01-01' + i * interval '1 minute' AS at FROM generate_series(1, {rows}) AS i"""
FORMS = {
    "text": lambda client: client.query("SELECT * FROM people"),
    "binary": lambda client: client.binary("SELECT * FROM people"),
    "copy": lambda client: client.query("COPY people TO STDOUT"),
}


def measure(path, form):
    """One reading of all rows, in a session that has read something before."""
    port, database, password, process = path
    client = Client(port, database, password)
    client.query("SELECT * FROM people LIMIT 10")
    if process:
        forget_peak(process)
        idle, used = memory_kib(process), cpu_ms(process)
    begin = time.monotonic()
    count = FORMS[form](client)
    result = {"seconds": time.monotonic() - begin, "bytes": count}
    if process:
        result["cpu_s_per_gb"] = (cpu_ms(process) - used) / 1000 / (count / 1e9)
        result["peak_mib"] = max(0, memory_kib(process, "VmHWM") - idle) / 1024
    client.socket.close()
    return result


def paths(stage):
    gateway = (stage.gateway_port, stage.token, stage.gateway_process)
    all = stage.paths()
    return {
        "direct": all["direct"],
        "masked": (gateway[0], "masked", *gateway[1:]),
        "masked, detectors": (gateway[0], "detected", *gateway[1:]),
        "pgbouncer": all["pgbouncer"],
    }


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--json", action="store_true")
    options = options.parse_args()
    prepare = lambda stage: stage.program("psql", "-X", "-d", "postgres", "-c", TABLE.format(rows=options.rows), "-c", "VACUUM ANALYZE people")
    stage = Stage(prepare, {"masked": MASKED + "detectors = []", "detected": MASKED})
    results = []
    try:
        for form in FORMS:
            rounds = {path: [] for path in paths(stage)}
            for n in range(options.rounds):
                for path, way in paths(stage).items():
                    rounds[path].append(measure(way, form))
                print(f"{form}: round {n + 1} of {options.rounds}", file=sys.stderr)
            for path, runs in rounds.items():
                row = {"form": form, "path": path, "rows": options.rows}
                row |= {key: statistics.median(run[key] for run in runs) for key in runs[0]}
                row["time/direct"] = statistics.median(a["seconds"] / b["seconds"] for a, b in zip(runs, rounds["direct"]))
                results.append(row)
    finally:
        stage.stop()
    if options.json:
        print(json.dumps(results, indent=1))
        return
    print("| form | path | time / direct | MB | CPU s per GB | peak MiB above idle |")
    print("|---|---|---|---|---|---|")
    for row in results:
        figure = lambda key, digits: f"{row[key]:.{digits}f}" if key in row else ""
        print(f"| {row['form']} | {row['path']} | {row['time/direct']:.2f} | {row['bytes'] / 1e6:.0f} | {figure('cpu_s_per_gb', 1)} | "
              f"{figure('peak_mib', 1)} |")


main()
