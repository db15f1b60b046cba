"""Compare two checks with the same seed, byte by byte: do they send the same requests?

Run `python -m benchmarks.same_seed [--seed N] [--budget quick]`. It compares what a run records of each request, in the
order sent: verb, path, headers and body. Session identifiers are masked in the record. Other parts that cannot be the
same are replaced: the service's port, identifiers from earlier answers (numbered in order of appearance), and the time,
the random text and the signature of a login by key. Concurrent requests may be recorded in another order, so each test
is compared a second time without regard to order.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parent.parent
SHOWN = 5

#: What may be an identifier that the service drew at random: a UUID, or a word with many hexadecimal digits.
_DRAWN = re.compile(
    r"\b(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[a-z]*_?[0-9a-f]{16,})\b", re.IGNORECASE
)
_PORT = re.compile(r"127\.0\.0\.1:\d+")
_SIGNED = re.compile(r'((?:X-Coursio-|\\*"|&)(?:time|random|hmac)(?:\\*" *: *\\*"|=))[^"\\&]*', re.IGNORECASE)


def requests(seed: int, budget: str) -> list[tuple[str, str]]:
    """Run a check and return its requests, each with the test that sent it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "conform.py", "check", "--seed", str(seed), "--budget", budget, "--quiet"]
        done = subprocess.run([*command, "--out", folder], cwd=ROOT, stderr=subprocess.DEVNULL)
        if done.returncode:
            raise SystemExit(f"conform check ended with status {done.returncode}")
        return list(_recorded(Path(folder) / "events.jsonl"))


def _recorded(events: Path) -> Iterator[tuple[str, str]]:
    names: dict[str, str] = {}

    def name(match: re.Match[str]) -> str:
        return names.get(match[0].lower(), match[0])

    with events.open(encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)
            if event["event"] != "exchange":
                continue
            request = event["request"]
            # Identifiers are found in any encoding: percent-encoding, or \\u escapes.
            text = json.dumps({**request, "url": unquote(request["url"])}, ensure_ascii=False)
            text = re.sub(r"\\+u00([0-7][0-9a-fA-F])", lambda match: chr(int(match[1], 16)), text)
            ours = {found.lower() for found in _DRAWN.findall(text)}
            text = _SIGNED.sub(r"\1<signed>", _PORT.sub("127.0.0.1:<port>", text))
            yield event["test"], _DRAWN.sub(name, text)
            if event["response"] is not None:
                for found in _DRAWN.findall(event["response"]["body"]):
                    if found.lower() not in ours:
                        names.setdefault(found.lower(), f"<object {len(names) + 1}>")


def _plain(text: str) -> str:
    """Return a request without identifiers, in whatever spelling: they may be made from those that the service drew."""
    text = re.sub(r"\\+u00([0-7][0-9a-fA-F])", lambda match: chr(int(match[1], 16)), text)
    return re.sub(r"<object \d+>", "<object>", _DRAWN.sub("<object>", text))


def _unordered(sent: list[tuple[str, str]]) -> dict[str, Counter[str]]:
    """Return how often each test sent each request; the object that it names does not count."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for test, text in sent:
        found[test][_plain(text)] += 1
    return found


def main() -> None:
    """Print how many requests were compared, how many differ, and the first that do."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.same_seed", description=__doc__)
    options.add_argument("--seed", type=int, default=7)
    options.add_argument("--budget", choices=("quick", "standard", "deep"), default="quick")
    chosen = options.parse_args()
    one, other = (requests(chosen.seed, chosen.budget) for _ in range(2))
    nothing = ("-", "(no request)")
    pairs = list(zip_longest(one, other, fillvalue=nothing))
    differing = [(number, a, b) for number, (a, b) in enumerate(pairs, 1) if a != b]
    print(
        f"seed {chosen.seed}, {chosen.budget}: {len(one)} and {len(other)} requests, {len(pairs)} compared in order"
    )
    apart_too = [(number, a, b) for number, a, b in differing if (a[0], _plain(a[1])) != (b[0], _plain(b[1]))]
    print(
        f"  {len(differing)} differ in place, {len(differing) - len(apart_too)} of them only in identifiers"
    )
    for number, a, b in apart_too[:SHOWN]:
        print(f"  request {number}\n    {a[0]}: {a[1][:400]}\n    {b[0]}: {b[1][:400]}")
    first, second = _unordered(one), _unordered(other)
    apart = {
        test: (first[test] - second[test], second[test] - first[test])
        for test in dict.fromkeys([*first, *second])
        if first[test] != second[test]
    }
    count = sum(max(left.total(), right.total()) for left, right in apart.values())
    print(f"  {count} differ without regard to order, in {len(apart)} tests")
    for test, (left, right) in list(apart.items())[:SHOWN]:
        print(f"  {test}: {left.total()} and {right.total()}")
        for text in (*list(left)[:1], *list(right)[:1]):
            print(f"    {text[:400]}")


if __name__ == "__main__":
    main()
