#!/usr/bin/env python3
"""Ratios of point reads: direct, through Portcullis with the default pack, through pgbouncer in session mode.

Every round runs all three one after the other, so that other load on the machine hits all alike; the figures are
ratios in one run, never absolute speeds to be compared between machines. Run by `./dev bench`.

Options: --seconds N (length of one measurement, default 3), --rounds N (default 3), --clients 1,8,64,
--modes simple,extended,prepared, --json.
"""

import argparse
import glob
import json
import os
import statistics
import subprocess
import sys
import tempfile

from stage import Stage, cpu_ms

SENSITIVE = 'sensitive = [{ column = "public.pgbench_accounts.filler", label = "filler" }]'


def measure(stage, path, mode, clients, seconds):
    port, database, password, process = stage.paths()[path]
    before = cpu_ms(process) if process else 0
    with tempfile.TemporaryDirectory() as logs:
        run = subprocess.run(
            [f"{stage.programs}/pgbench", "-n", "-S", "-M", mode, "-c", str(clients), "-j", "1", "-T", str(seconds), "-l",
             "--log-prefix", os.path.join(logs, "l"), "-h", "127.0.0.1", "-p", str(port), "-U", "bench", database],
            env=dict(os.environ, PGPASSWORD=password, PGSSLMODE="disable"), capture_output=True, text=True)
        if run.returncode != 0:
            sys.exit(f"pgbench through {path} failed:\n{run.stderr}")
        latencies = sorted(int(line.split()[2]) for f in glob.glob(os.path.join(logs, "l*")) for line in open(f))
    used = cpu_ms(process) - before if process else 0
    count = len(latencies)
    at = lambda q: latencies[min(count - 1, int(count * q))]
    return {"per_second": count / seconds, "p50": at(0.5), "p95": at(0.95), "p99": at(0.99),
            "cpu_ms_per_1000": used * 1000 / count if process else None}


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=3)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--clients", default="1,8,64")
    options.add_argument("--modes", default="simple,extended,prepared")
    options.add_argument("--json", action="store_true")
    options = options.parse_args()
    seconds = max(1, int(options.seconds))
    stage = Stage(lambda stage: stage.program("pgbench", "-i", "-q", "-s", "10", "postgres"), {"bench": SENSITIVE})
    results = []
    try:
        for mode in options.modes.split(","):
            for clients in map(int, options.clients.split(",")):
                rounds = {path: [] for path in stage.paths()}
                for n in range(options.rounds):
                    for path in rounds:
                        rounds[path].append(measure(stage, path, mode, clients, seconds))
                    print(f"{mode}, {clients} clients: round {n + 1} of {options.rounds}", file=sys.stderr)
                row = {"mode": mode, "clients": clients}
                for path, runs in rounds.items():
                    row[path] = {key: statistics.median(r[key] for r in runs) if runs[0][key] is not None else None
                                 for key in runs[0]}
                for path in ("portcullis", "pgbouncer"):
                    ratios = [a["per_second"] / b["per_second"] for a, b in zip(rounds[path], rounds["direct"])]
                    row[f"{path}/direct"] = statistics.median(ratios)
                ratios = [a["per_second"] / b["per_second"] for a, b in zip(rounds["portcullis"], rounds["pgbouncer"])]
                row["portcullis/pgbouncer"] = statistics.median(ratios)
                results.append(row)
    finally:
        stage.stop()
    if options.json:
        print(json.dumps(results, indent=1))
        return
    print("| mode | clients | portcullis/direct | pgbouncer/direct | portcullis/pgbouncer | p50 / p95 / p99 µs direct | portcullis |"
          " pgbouncer | CPU ms per 1,000: portcullis | pgbouncer |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for row in results:
        spread = lambda path: " / ".join(str(int(row[path][q])) for q in ("p50", "p95", "p99"))
        print(f"| {row['mode']} | {row['clients']} | {row['portcullis/direct']:.2f} | {row['pgbouncer/direct']:.2f} | "
              f"{row['portcullis/pgbouncer']:.2f} | {spread('direct')} | {spread('portcullis')} | {spread('pgbouncer')} | "
              f"{row['portcullis']['cpu_ms_per_1000']:.1f} | {row['pgbouncer']['cpu_ms_per_1000']:.1f} |")


main()
