"""`conform watch`: a reverse proxy in front of a target that judges what passes.

A process of its own forwards the bytes. This one reads what it reports, judges it, prints it, and makes the report.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TextIO

from conformance.commands.request import request_of
from conformance.commands.traffic_run import TrafficRun
from conformance.engine.harness import ROOT, Harness
from conformance.errors import UsageError
from conformance.protocol.base_url import is_loopback_host
from conformance.protocol.wire import Address
from conformance.text import cut, plural, reveal, writable
from conformance.traffic.assembling import Assembler
from conformance.traffic.frames import Counters, FrameReader
from conformance.traffic.har_writer import HarWriter
from conformance.traffic.judge import Seen

__all__ = ["watch"]

#: Lines of exchanges without a finding that are printed in a second; more are counted.
MAX_LINES_PER_SECOND = 20
#: Seconds between two lines that say how far the judging is.
STATUS_SECONDS = 10.0
READ_BYTES = 1024 * 1024


def watch(options: argparse.Namespace) -> int:
    """Forward and judge until Ctrl-C; return the exit status.

    Raises:
        UsageError: an option, the profile or the catalogue is wrong, or the address is taken.

    """
    if options.raw and options.har is None:
        raise UsageError("--raw is about the secrets in a HAR: name its file with --har FILE")
    host, port = _address(options)
    harness = Harness.prepare(replace(request_of(options), further=("--listen", options.listen)))
    try:
        with _listening(host, port, options.listen) as listener:
            harness.connect()
            return _Watch(harness, options, listener).run()
    finally:
        harness.close()


def _address(options: argparse.Namespace) -> tuple[str, int]:
    """Return host and port to listen at. Raises UsageError."""
    host, colon, port = options.listen.rpartition(":")
    host = host.strip("[]")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"--listen {options.listen}: is not HOST:PORT, as in 127.0.0.1:8900")
    if not is_loopback_host(host) and not options.allow_remote:
        raise UsageError(
            f"--listen {options.listen}: other machines could call the target through it; "
            "add --allow-remote if they are to"
        )
    return host, int(port)


@contextlib.contextmanager
def _listening(host: str, port: int, shown: str) -> Iterator[socket.socket]:
    """Yield a socket that listens. Raises UsageError."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise UsageError(f"--listen {shown}: {error.strerror}") from None
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(512)
        except OSError as error:
            raise UsageError(f"--listen {shown}: cannot listen there: {error.strerror}") from None
        yield listener


class _Watch:
    """One run of the proxy."""

    def __init__(self, harness: Harness, options: argparse.Namespace, listener: socket.socket) -> None:
        self._harness = harness
        self._quiet: bool = options.quiet
        self._address = Address.of(harness.profile.url)
        self._listener = listener
        self._memory = tempfile.TemporaryFile()  # noqa: SIM115  (closed in `run`)
        self._memory.truncate(Counters.SIZE)
        self._counters = Counters(self._memory.fileno())
        origin = f"{self._address.scheme}://{self._address.authority}"
        self._assembler = Assembler(origin)
        self._har = HarWriter(options.har, raw=options.raw) if options.har is not None else None
        self._judged = TrafficRun(harness, tokens_are_recorded=True)
        self._screen = _Screen(None if self._quiet else sys.stderr)
        self._stopping = False

    def run(self) -> int:
        """Forward and judge; return the exit status."""
        with self._memory, self._signals():
            forwarder = self._start()
            try:
                self._announce()
                cut_off = self._follow(forwarder)
            finally:
                if forwarder.stdin is not None:
                    forwarder.stdin.close()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    forwarder.wait(2)
                if forwarder.poll() is None:
                    forwarder.kill()
                    forwarder.wait()
                if forwarder.stdout is not None:
                    forwarder.stdout.close()
            if self._har is not None:
                self._har.close()
            for note in self._notes(cut_off):
                self._judged.note(note)
        return self._judged.close()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Let the first Ctrl-C end the proxy, and the second what is still to be judged."""

        def stop(number: int, frame: object) -> None:
            if self._stopping:
                raise KeyboardInterrupt
            self._stopping = True

        before = {name: signal.signal(name, stop) for name in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for name, handler in before.items():
                signal.signal(name, handler)

    def _start(self) -> subprocess.Popen[bytes]:
        """Start the forwarding process."""
        descriptors = (self._listener.fileno(), self._memory.fileno())
        forwarder = subprocess.Popen(
            [sys.executable, "-m", "conformance.traffic.forwarder"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=descriptors,
            start_new_session=True,
        )
        ca = self._harness.profile.target.ca
        settings: dict[str, Any] = {
            "listener": descriptors[0],
            "counters": descriptors[1],
            "host": self._address.host,
            "port": self._address.port,
            "authority": self._address.authority,
            "tls": self._address.scheme == "https",
            "ca": str(ca) if ca is not None else None,
        }
        assert forwarder.stdin is not None
        forwarder.stdin.write(json.dumps(settings).encode() + b"\n")
        forwarder.stdin.flush()
        return forwarder

    def _announce(self) -> None:
        host, port = self._listener.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        url = f"http://{shown}:{port}{self._address.path}"
        print(json.dumps({"url": url, "target": self._harness.profile.shown_url}), flush=True)
        if not self._quiet:
            print(
                f"Point clients at {url}: what they send goes to {self._harness.shown_url} (Ctrl-C ends it).",
                file=sys.stderr,
                flush=True,
            )

    def _follow(self, forwarder: subprocess.Popen[bytes]) -> bool:
        """Judge what the forwarding process reports until it ends; return whether that was cut off."""
        assert forwarder.stdout is not None
        assert forwarder.stdin is not None
        pipe = forwarder.stdout.fileno()
        reader = FrameReader()
        try:
            while True:
                if self._stopping and not forwarder.stdin.closed:
                    forwarder.stdin.close()
                ready, _, _ = select.select([pipe], [], [], 0.2)
                if ready:
                    data = os.read(pipe, READ_BYTES)
                    if not data:
                        return False
                    for frame in reader.feed(data):
                        for recorded in self._assembler.take(frame):
                            self._take(recorded)
                self._judged.judge.sequences.settle(self._assembler.complete_until())
                self._show_status()
        except KeyboardInterrupt:
            return True

    def _take(self, recorded: Any) -> None:
        recorded.name_function(self._harness.profile.url)
        recorded.exchange.number = self._judged.judge.taken + 1
        seen = self._judged.judge.take(recorded)
        if self._har is not None:
            self._har.write(recorded)
        if seen is not None:
            self._screen.show(seen)

    def _show_status(self) -> None:
        begun, dropped, connections = self._counters.read()
        waiting = max(0, begun - dropped - self._assembler.begun)
        findings = len(self._judged.judge.results.findings)
        self._screen.status(
            f"{plural(self._judged.judge.taken, 'exchange')} judged, {plural(findings, 'finding')}, "
            f"{waiting} waiting, {dropped} dropped, {plural(connections, 'connection')}"
        )

    def _notes(self, cut_off: bool) -> list[str]:
        begun, dropped, _ = self._counters.read()
        notes = []
        if dropped:
            notes.append(f"{plural(dropped, 'exchange')} dropped: judging was slower than the traffic")
        if self._assembler.opaque:
            notes.append(
                f"{plural(self._assembler.opaque, 'connection')} passed unread: no HTTP/1, or pipelined"
            )
        if self._assembler.abandoned:
            count = plural(self._assembler.abandoned, "exchange")
            notes.append(f"{count} without a whole response, ended by the client: not judged")
        if cut_off:
            notes.append(
                f"ended before all was judged: {max(0, begun - self._assembler.begun)} exchanges were left"
            )
        return notes


class _Screen:
    """Prints lines about the exchanges, and how far the judging is."""

    def __init__(self, file: TextIO | None) -> None:
        self._file = file
        self._second = 0
        self._lines = 0
        self._omitted = 0
        self._shown_at = time.monotonic()
        self._shown = ""

    def show(self, seen: Seen) -> None:
        """Print an exchange; of many without a finding only some."""
        if self._file is None:
            return
        second = int(time.monotonic())
        if second != self._second:
            if self._omitted:
                self._print(f"           and {self._omitted} more without a finding")
            self._second, self._lines, self._omitted = second, 0, 0
        self._lines += 1
        if not seen.broken and not seen.client and self._lines > MAX_LINES_PER_SECOND:
            self._omitted += 1
            return
        exchange = seen.recorded.exchange
        status = exchange.status if exchange.status is not None else "no answer"
        name = cut(reveal(exchange.function or f"{exchange.request.verb} {exchange.request.url}"), 60)
        marks = f"  ✗ {', '.join(dict.fromkeys(seen.broken))}" if seen.broken else ""
        marks += "  client" if seen.client else ""
        self._print(
            f"{time.strftime('%H:%M:%S')}  {status}  {exchange.seconds * 1000:7.1f} ms  {name}{marks}"
        )

    def status(self, text: str) -> None:
        """Print how far the judging is, now and then, when it has changed."""
        now = time.monotonic()
        if self._file is not None and text != self._shown and now - self._shown_at >= STATUS_SECONDS:
            self._shown, self._shown_at = text, now
            self._print(text)

    def _print(self, text: str) -> None:
        assert self._file is not None
        with contextlib.suppress(OSError):
            print(writable(text, getattr(self._file, "encoding", None)), file=self._file, flush=True)
