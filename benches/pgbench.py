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
import pwd
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TICKS = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def unprivileged():
    """A user to run servers as, where this is root: they refuse to run as root themselves."""
    if os.getuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


class Stage:
    """A PostgreSQL server with pgbench's tables, a gateway and a pgbouncer in front of it."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="portcullis-bench-")
        os.chmod(self.directory, 0o711)
        self.processes = []
        self.programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
        self.postgres()
        self.gateway()
        self.pgbouncer()

    def start(self, command, log, **options):
        with open(os.path.join(self.directory, log), "w") as out:
            process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, **options)
        self.processes.append(process)
        return process

    def postgres(self):
        home = os.path.join(self.directory, "pg")
        os.mkdir(home)
        user = unprivileged()
        if user:
            os.chown(home, user["user"], user["group"])
        self.port = free_port()
        data = os.path.join(home, "data")
        password = os.path.join(home, "password")
        with open(password, "w") as f:
            f.write("bench")
        os.chmod(password, 0o644)
        subprocess.run([f"{self.programs}/initdb", "-D", data, "-U", "bench", "-A", "scram-sha-256", "-E", "UTF8",
                        "--locale=C.UTF-8", f"--pwfile={password}"], check=True, stdout=subprocess.DEVNULL, cwd=home, **user)
        self.start([f"{self.programs}/postgres", "-D", data, "-c", f"port={self.port}", "-c", "listen_addresses=127.0.0.1",
                    "-c", f"unix_socket_directories={home}", "-c", "max_connections=200"], "postgres.log", cwd=home, **user)
        self.wait(self.port)
        environment = dict(os.environ, PGPASSWORD="bench")
        subprocess.run([f"{self.programs}/pgbench", "-i", "-q", "-s", "10", "-h", "127.0.0.1", "-p", str(self.port), "-U", "bench",
                        "postgres"], check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def gateway(self):
        config = os.path.join(self.directory, "portcullis.toml")
        self.gateway_port, api, provider = free_port(), free_port(), free_port()
        with open(config, "w") as f:
            f.write(f"""
data_dir = "data"
[listen.postgres]
address = "127.0.0.1:{self.gateway_port}"
[listen.http]
address = "127.0.0.1:{api}"
[dev_provider]
listen = "127.0.0.1:{provider}"
agents = [{{ name = "bench", groups = ["agents"] }}]
[connections.bench]
environment = "bench"
groups = ["agents"]
sensitive = [{{ column = "public.pgbench_accounts.filler", label = "filler" }}]
[connections.bench.target]
host = "127.0.0.1"
port = {self.port}
database = "postgres"
user = "bench"
password = "bench"
sslmode = "disable"
""")
        binary = os.path.join(ROOT, "target", "release", "portcullis")
        self.gateway_process = self.start([binary, "--config", config, "serve"], "gateway.log")
        self.wait(self.gateway_port)
        self.token = subprocess.run([binary, "--config", config, "token", "--as", "bench"], check=True, capture_output=True,
                                    text=True).stdout.strip()

    def pgbouncer(self):
        self.bouncer_port = free_port()
        home = os.path.join(self.directory, "bouncer")
        os.mkdir(home)
        with open(os.path.join(home, "users.txt"), "w") as f:
            f.write('"bench" "bench"\n')
        with open(os.path.join(home, "pgbouncer.ini"), "w") as f:
            f.write(f"""[databases]
bench = host=127.0.0.1 port={self.port} dbname=postgres user=bench password=bench
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.bouncer_port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {home}/users.txt
pool_mode = session
max_client_conn = 200
default_pool_size = 150
""")
        program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
        self.bouncer_process = self.start([program, os.path.join(home, "pgbouncer.ini")], "pgbouncer.log", cwd=home,
                                          **unprivileged())
        self.wait(self.bouncer_port)

    def wait(self, port):
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.1)
        logs = "".join(open(f).read() for f in glob.glob(os.path.join(self.directory, "*.log")))
        sys.exit(f"nothing listens on port {port}\n{logs}")

    def stop(self):
        for process in reversed(self.processes):
            process.send_signal(signal.SIGINT)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def paths(self):
        return {
            "direct": (self.port, "postgres", "bench", None),
            "portcullis": (self.gateway_port, "bench", self.token, self.gateway_process),
            "pgbouncer": (self.bouncer_port, "bench", "bench", self.bouncer_process),
        }


def cpu_ms(process):
    """CPU time of a process so far, user and system, in milliseconds."""
    fields = open(f"/proc/{process.pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / TICKS


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
    stage = Stage()
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
