"""What benches share: a PostgreSQL server, a gateway in front of it, a pgbouncer, and a client that reads fast."""

import base64
import glob
import hashlib
import hmac
import os
import pwd
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TICKS = os.sysconf("SC_CLK_TCK")
PASSWORD = "bench"


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
    """A PostgreSQL server, prepared by `prepare`, a gateway and a pgbouncer in front of it.

    `connections` are the lines of each of the gateway's connections, by name; the first is the one of `paths`."""

    def __init__(self, prepare, connections, most=200):
        self.most = most
        self.connections = connections
        # Two sockets a session, and the client's own are in this process.
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4 * most + 1000)), hard))
        self.directory = tempfile.mkdtemp(prefix="portcullis-bench-")
        os.chmod(self.directory, 0o711)
        self.processes = []
        self.programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
        # Whatever ends this ends the servers too.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to stop"))
        try:
            self.postgres()
            prepare(self)
            self.gateway()
            self.pgbouncer()
        except BaseException:
            self.stop()
            raise

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
                    "-c", f"unix_socket_directories={home}", "-c", f"max_connections={self.most}"], "postgres.log", cwd=home, **user)
        self.wait(self.port)
        # It listens before it takes anybody.
        for _ in range(300):
            if subprocess.run([f"{self.programs}/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]).returncode == 0:
                return
            time.sleep(0.1)
        sys.exit("the server does not take anybody")

    def program(self, name, *arguments, **options):
        """Runs a program of PostgreSQL's on the server itself."""
        return subprocess.run([f"{self.programs}/{name}", "-h", "127.0.0.1", "-p", str(self.port), "-U", "bench", *arguments],
                              check=True, env=dict(os.environ, PGPASSWORD=PASSWORD), stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, **options)

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
[limits]
sessions_per_principal = {self.most}
""")
            for name, lines in self.connections.items():
                f.write(f"""
[connections.{name}]
environment = "bench"
groups = ["agents"]
{lines}
[connections.{name}.target]
host = "127.0.0.1"
port = {self.port}
database = "postgres"
user = "bench"
password = "bench"
sslmode = "disable"
""")
        binary = os.environ.get("PORTCULLIS_BINARY") or os.path.join(ROOT, "target", "release", "portcullis")
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
max_client_conn = {self.most}
default_pool_size = {self.most}
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
        first = next(iter(self.connections))
        return {
            "direct": (self.port, "postgres", PASSWORD, None),
            "portcullis": (self.gateway_port, first, self.token, self.gateway_process),
            "pgbouncer": (self.bouncer_port, "bench", PASSWORD, self.bouncer_process),
        }


def cpu_ms(process):
    """CPU time of a process so far, user and system, in milliseconds."""
    fields = open(f"/proc/{process.pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / TICKS


def memory_kib(process, field="VmRSS"):
    """Memory of a process, in KiB: `VmRSS` now, `VmHWM` at most since `forget_peak`."""
    for line in open(f"/proc/{process.pid}/status"):
        if line.startswith(field + ":"):
            return int(line.split()[1])
    sys.exit(f"no {field} of process {process.pid}")


def forget_peak(process):
    with open(f"/proc/{process.pid}/clear_refs", "w") as f:
        f.write("5")


def message(tag, *parts):
    body = b"".join(part if isinstance(part, bytes) else part.encode() + b"\0" for part in parts)
    return tag + struct.pack("!I", len(body) + 4) + body


class Client:
    """A PostgreSQL client that reads answers without looking into them."""

    def __init__(self, port, database, password):
        self.socket = socket.create_connection(("127.0.0.1", port), 60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray(1 << 20)
        body = struct.pack("!I", 3 << 16) + b"user\0bench\0database\0" + database.encode() + b"\0\0"
        self.socket.sendall(struct.pack("!I", len(body) + 4) + body)
        while (answer := self.receive())[0] != b"Z":
            tag, body = answer
            kind = struct.unpack("!I", body[:4])[0] if tag == b"R" else None
            if tag == b"E":
                sys.exit(f"log-in failed: {body!r}")
            elif kind == 3:
                self.socket.sendall(message(b"p", password))
            elif kind == 10:
                self.scram(password)

    def exactly(self, count):
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                sys.exit("the connection was closed")
            data += piece
        return data

    def receive(self):
        tag, length = struct.unpack("!cI", self.exactly(5))
        return tag, self.exactly(length - 4)

    def scram(self, password):
        """SCRAM-SHA-256 (RFC 5802, RFC 7677), without checking the server: it is our own."""
        nonce = base64.b64encode(os.urandom(18)).decode()
        bare = f"n=,r={nonce}"
        first = b"n,," + bare.encode()
        self.socket.sendall(message(b"p", "SCRAM-SHA-256", struct.pack("!I", len(first)) + first))
        challenge = self.receive()[1][4:].decode()
        fields = dict(field.split("=", 1) for field in challenge.split(","))
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
        sign = lambda key, text: hmac.new(key, text, hashlib.sha256).digest()
        client_key = sign(salted, b"Client Key")
        final = f"c=biws,r={fields['r']}"
        signature = sign(hashlib.sha256(client_key).digest(), f"{bare},{challenge},{final}".encode())
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        self.socket.sendall(message(b"p", f"{final},p={base64.b64encode(proof).decode()}".encode()))

    def run(self, request):
        """Sends messages and reads up to ReadyForQuery, which is the end of what comes; how many bytes."""
        self.socket.sendall(request)
        total, tail = 0, b""
        while True:
            count = self.socket.recv_into(self.buffer)
            if not count:
                sys.exit("the connection was closed")
            total += count
            tail = (tail + bytes(self.buffer[max(0, count - 6):count]))[-6:]
            if tail == b"Z\0\0\0\5I":
                return total

    def query(self, sql):
        return self.run(message(b"Q", sql))

    def binary(self, sql):
        """By the extended protocol, with results in binary."""
        return self.run(message(b"P", "", sql, b"\0\0") + message(b"B", "", "", struct.pack("!HHHH", 0, 0, 1, 1))
                        + message(b"D", b"P\0") + message(b"E", "", struct.pack("!I", 0)) + message(b"S"))
