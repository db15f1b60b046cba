"""Feeds: each row is used once over all processes, and mistakes are named in one line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.errors import UsageError
from load.workload import feeds
from load.workload.feeds import Feed, NoRowsLeft, csv_feed, json_feed


@pytest.fixture(autouse=True)
def _no_feeds() -> Iterator[None]:
    feeds.forget()
    yield
    feeds.forget()


def written(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text, "utf-8")
    return str(folder / name)


def taken(feed: Feed) -> list[Any]:
    rows: list[Any] = []

    def take_all() -> None:
        while True:
            rows.append(feed.next())

    with pytest.raises(NoRowsLeft, match="has no rows left"):
        take_all()
    return rows


def test_each_row_belongs_to_one_process(tmp_path: Path) -> None:
    file = written(tmp_path, "users.csv", "﻿name, note\n" + "".join(f'u{n},"a, b"\n\n' for n in range(7)))
    rows: list[Any] = []
    for index in range(3):
        feed = csv_feed(file)
        assert len(feed) == 7
        feed.share(index, 3)
        rows += taken(feed)
    assert sorted(row["name"] for row in rows) == [f"u{n}" for n in range(7)]
    assert rows[0] == {"name": "u0", "note": "a, b"}


def test_a_feed_that_circulates_begins_again_and_one_that_stops_says_so_with_its_last_row(
    tmp_path: Path,
) -> None:
    file = written(tmp_path, "rows.jsonl", '{"n": 1}\n\n[2]\n')
    circulating, stopping = json_feed(file, at_end="circulate"), json_feed(file)
    ended: list[str] = []
    feeds.share(0, 1, ended.append)
    assert [circulating.next() for _ in range(5)] == [{"n": 1}, [2], {"n": 1}, [2], {"n": 1}]
    assert (next(stopping), ended) == ({"n": 1}, [])
    assert (next(stopping), ended) == ([2], ["the feed rows.jsonl has no rows left"])


def test_a_path_is_relative_to_the_file_that_names_it() -> None:
    assert csv_feed("users.csv").file == Path(__file__).parent / "users.csv"


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("a.csv", "name,name\n1,2\n", r"a\.csv:1: the first row names the columns"),
        ("a.csv", "name,mail\n1,2,3\n", r"a\.csv:2: 3 columns, where the first row names 2"),
        ("a.csv", "name\n", r"test_feeds\.py:\d+: the feed .*a\.csv has no rows"),
        ("a.jsonl", '{"n": 1}\n{"n": \n', r"a\.jsonl:2: is no JSON"),
        ("none.csv", None, r"test_feeds\.py:\d+: the feed .*none\.csv cannot be read: No such file"),
        ("a.csv", "name\nx\n", r"has 1 rows for 2 workers"),
    ],
)
def test_mistakes_are_named_in_one_line(tmp_path: Path, name: str, text: str | None, why: str) -> None:
    file = written(tmp_path, name, text) if text is not None else str(tmp_path / name)
    feed = json_feed(file) if name.endswith("jsonl") else csv_feed(file)
    with pytest.raises(UsageError, match=why) as refused:
        feed.share(0, 2)
    assert "\n" not in str(refused.value)


def test_what_happens_at_the_end_is_one_of_two() -> None:
    with pytest.raises(
        UsageError, match=r'test_feeds\.py:\d+: at_end is "stop" or "circulate", not \'again\''
    ):
        csv_feed("a.csv", at_end="again")  # type: ignore[arg-type]


def test_a_feed_has_no_rows_while_its_file_is_imported(tmp_path: Path) -> None:
    feed = csv_feed(written(tmp_path, "a.csv", "name\nx\n"))
    with pytest.raises(UsageError, match="call next\\(\\) in a task"):
        feed.next()


def test_secrets_of_rows_are_masked(tmp_path: Path) -> None:
    feed = csv_feed(written(tmp_path, "a.csv", "identity,credential\nann,Tr0ub4dor\n"))
    feeds.share(0, 1, lambda why: None)
    feed.next()
    assert feeds.masked("KeyError: ann Tr0ub4dor") == "KeyError: ann ***"
