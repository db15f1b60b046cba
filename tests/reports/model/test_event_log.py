"""The log of a run: its lines, its end, and a disk that is full."""

from __future__ import annotations

import errno
import json
import math
import os
import threading
from pathlib import Path

import pytest

from conformance.events import CoverageEvent, ExchangeEvent, NoteEvent, ResetEvent, RunEvent, given
from reports.model.event_log import LogError, RunLog, read_events
from reports.model.files import validate, write_report
from tests.support.events import event_of, record_of
from tests.support.run_events import ALL, END, finding, header, report_of

# --- the log ---


def kinds_in(log: Path) -> list[str]:
    return [record_of(event)["event"] for event in read_events(log)]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    with RunLog(tmp_path / "deep" / "folder") as log:
        log.write(event_of(header()))
        log.write(NoteEvent("\ud800 \u202e \x00 \n é"))
        log.write(CoverageEvent({"a.b": {"bytes": b"\xff", "set": {"b", "a"}, "most": math.inf}}))
        log.write(ResetEvent(at=3.5))
    run, note, coverage, reset = read_events(log.path)
    assert isinstance(run, RunEvent)
    assert isinstance(note, NoteEvent)
    assert note.message == "\ud800 \u202e \x00 \n é"
    at = given(note.at)
    assert at is not None
    assert at >= 0
    assert coverage == CoverageEvent(
        {"a.b": {"bytes": "\\xff", "set": ["a", "b"], "most": math.inf}}, at=coverage.at
    )
    assert reset == ResetEvent(at=3.5)
    assert log.path.read_bytes().isascii()


def test_findings_are_on_the_disk_at_once_and_take_the_rest_along(tmp_path: Path) -> None:
    log = RunLog(tmp_path, delay=3600)
    log.write(ExchangeEvent(number=1))
    assert list(read_events(log.path)) == []
    log.write(event_of(finding("ENV-1")))
    assert kinds_in(log.path) == ["exchange", "finding"]
    log.write(ExchangeEvent(number=2))
    log.flush()
    assert len(list(read_events(log.path))) == 3
    log.close()
    log.close()


def test_a_batch_goes_out_when_it_is_full(tmp_path: Path) -> None:
    log = RunLog(tmp_path, delay=3600, batch=1000)
    for number in range(100):
        log.write(ExchangeEvent(number=number))
    assert len(list(read_events(log.path))) >= 70
    log.close()
    assert [record_of(event)["number"] for event in read_events(log.path)] == list(range(100))


def test_many_threads_write_whole_lines(tmp_path: Path) -> None:
    with RunLog(tmp_path, batch=500) as log:

        def work(name: int) -> None:
            for number in range(300):
                log.write(ExchangeEvent(test=str(name), number=number))

        threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    events = [event for event in read_events(log.path) if isinstance(event, ExchangeEvent)]
    seen = [(int(event.test), event.number) for event in events]
    assert sorted(seen) == [(name, number) for name in range(8) for number in range(300)]
    assert [number for who, number in seen if who == 3] == list(range(300))


def test_a_new_log_replaces_the_old_unless_it_appends(tmp_path: Path) -> None:
    for append, count in ((False, 1), (True, 2), (False, 1)):
        with RunLog(tmp_path, append=append) as log:
            log.write(NoteEvent("x"))
        assert len(list(read_events(log.path))) == count


def test_a_full_disk_is_reported_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = RunLog(tmp_path)
    log.write(event_of(header()))
    written = log.path.read_bytes()

    def full(_file: int, _data: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("reports.model.event_log.os.write", full)
    with pytest.raises(LogError, match="No space left on device"):
        log.write(event_of(finding("ENV-1")))
    log.write(event_of(finding("ENV-1")))
    log.flush()
    log.close()
    assert log.path.read_bytes() == written


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_really_full_disk(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").symlink_to("/dev/full")
    log = RunLog(tmp_path)
    with pytest.raises(LogError, match="cannot write"):
        log.write(event_of(header()))
    log.close()


def test_a_folder_that_cannot_be_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LogError, match="cannot write"):
        RunLog(tmp_path / "file" / "run")
    with pytest.raises(LogError, match="cannot read"):
        list(read_events(tmp_path / "nothing"))


@pytest.mark.parametrize("lost", [1, 2, 5, 40])
def test_a_last_line_that_was_cut_off_is_left_out(tmp_path: Path, lost: int) -> None:
    with RunLog(tmp_path) as log:
        for event in (header(), ALL, finding("ENV-1"), END):
            log.write(event_of(event))
    whole = log.path.read_bytes()
    log.path.write_bytes(whole[:-lost])
    kinds = kinds_in(log.path)
    # Only the line end is gone: the line still says all it had to say.
    assert kinds == ["run", "judged", "finding", *(["end"] if lost == 1 else [])]
    report = write_report(tmp_path)
    assert (report["verdict"], report["interrupted"]) == ("nonconformant", lost != 1)


def test_a_broken_line_in_the_middle_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(json.dumps(header()) + '\n{"event": \n' + json.dumps(END) + "\n")
    with pytest.raises(LogError, match="line 2: not JSON"):
        list(read_events(path))
    path.write_text("[1]\n")
    with pytest.raises(LogError, match="line 1: not an event"):
        list(read_events(path))


def test_a_report_is_written_beside_its_events(tmp_path: Path) -> None:
    hostile = "\ud800\u202e\x1b[2J]]>é"
    with RunLog(tmp_path) as log:
        for event in (header(), ALL, finding("ENV-1", actual=hostile), END):
            log.write(event_of(event))
    report = write_report(tmp_path)
    text = (tmp_path / "report.json").read_text("utf-8")
    assert json.loads(text) == report
    assert "é" in text
    assert report["rules"][0]["findings"][0]["actual"] == hostile
    validate(json.loads(text))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "events.jsonl", "junit.xml", "report.html", "report.json", "report.md", "report.sarif",
    ]  # fmt: skip


def test_an_interrupted_run_still_knows_how_long_it_went(tmp_path: Path) -> None:
    report = report_of(header(), ALL, {"event": "exchange", "number": 1, "at": 2.5})
    assert (report["seconds"], report["requests"]) == (2.5, 1)
