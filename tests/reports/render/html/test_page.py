"""The page of a run, without a browser: what stands in it, and that a hostile target gets nothing into it."""

from __future__ import annotations

import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from markupsafe import escape

from conformance.rulebook import RULES
from conformance.text import reveal
from reports.render.html import page as html
from reports.render.html.messages import indent_json, show_request, show_response
from tests.support.events import build
from tests.support.reporting import HOSTILE, PAYLOADS, hostile, large, sample
from tests.support.run_events import END, a_rule, finding, header, report_of

VOID = {"meta", "input", "br", "link", "img", "hr", "line", "path", "rect"}


class Page(HTMLParser):
    """Reads a page: its elements with their attributes, its ids, its text; and that its tags are balanced."""

    def __init__(self, data: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.scripts: list[str] = []
        self.feed(data.decode())
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), (tag, attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("script", "style"):
            self.scripts.append(data)
        else:
            self.text += data

    @property
    def ids(self) -> list[str]:
        return [attrs["id"] or "" for _, attrs in self.elements if "id" in attrs]


def page_of(report: dict[str, Any]) -> Page:
    return Page(html.render(report))


def test_a_page_says_what_a_run_came_to() -> None:
    report = sample()
    page = page_of(report)
    assert "Nonconformant" in page.text
    assert report["reason"][1:] in page.text
    for rule in report["rules"]:
        assert rule["id"] in page.ids
        assert rule["title"] in page.text
    for reported in ("came back 1/4", "intermittent", "never accepted", "refused with 403", "a note"):
        assert reported in page.text
    assert "conform replay cases/ENV-5-course.read-00000000.json" in page.text
    assert "conform check --target https://t-api.example/api/ --seed 7 --rule ENV-5" in page.text
    assert '[users.owner]\nuser = "owner@example.com"' in page.text


def test_every_link_leads_somewhere_and_ids_stand_once() -> None:
    for report in (sample(), hostile()):
        page = page_of(report)
        assert len(page.ids) == len(set(page.ids))
        for tag, attrs in page.elements:
            if tag == "a":
                target = attrs["href"] or ""
                assert target.startswith("#")
                assert target[1:] in page.ids, target
            for name in ("data-of", "aria-labelledby"):
                if name in attrs:
                    assert attrs[name] in page.ids


def test_a_finding_has_the_same_place_in_every_run() -> None:
    name = html.anchor_of("ENV-5", "course.read", "blank")
    assert name in page_of(sample()).ids
    assert name in page_of(sample(seed=8)).ids
    assert name != html.anchor_of("ENV-5", "course.find", "blank")


def test_the_page_fetches_nothing_and_lets_nothing_in() -> None:
    for report in (sample(), hostile()):
        data = html.render(report)
        page = Page(data)
        policy = next(
            a["content"] for t, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"
        )
        assert policy is not None
        assert policy.startswith("default-src 'none'; ")
        assert "unsafe" not in policy
        named = re.findall(r"'sha256-([^']+)'", policy)
        assert [base64_of(text) for text in page.scripts] == named
        for tag, attrs in page.elements:
            assert tag not in ("iframe", "img", "link", "object", "embed", "form", "base"), tag
            for name, value in attrs.items():
                assert not name.startswith("on"), (tag, name)
                assert name not in ("src", "style", "srcset", "action", "formaction"), (tag, name)
                if name == "href":
                    assert value is not None
                    assert value.startswith("#")
        assert sum(tag == "script" for tag, _ in page.elements) == 1
        assert sum(tag == "style" for tag, _ in page.elements) == 1


def base64_of(text: str) -> str:
    import base64

    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_a_hostile_target_is_shown_as_text() -> None:
    data = html.render(hostile())
    text = data.decode("utf-8")  # half a surrogate pair would not be UTF-8
    assert all(character.isprintable() or character == "\n" for character in text)
    page = Page(data)
    for payload in PAYLOADS:
        assert reveal(payload) in page.text, payload
    assert {tag for tag, _ in page.elements} <= {tag for tag, _ in page_of(sample()).elements}
    assert "{{ 7 * 7 }}" in page.text


def test_a_hostile_rule_id_makes_no_attribute() -> None:
    rule = a_rule("ENV-1") | {"id": 'X" onclick="x', "area": '"><b>'}
    page = page_of(build([header(rule), END]))
    assert not any("onclick" in attrs for _, attrs in page.elements)
    assert "b" not in {tag for tag, _ in page.elements}


def test_nothing_is_needed_of_a_report_but_its_format() -> None:
    for events in ([header()], [header(rules=[]), END], [header(seed=None, rerun=None, budget=None), END]):
        assert "conform" in page_of(report_of(*events)).text


def test_a_large_run_stays_small() -> None:
    data = html.render(large())
    assert len(data) < 8_000_000
    # Python's parser takes seconds for a page of this size.
    text = data.decode()
    assert len(re.findall(r'class="finding[ "]', text)) == 1000
    assert "20,000 bytes in all; SHA-256" in text


# --- messages


def lines_of(shown: Any) -> list[str]:
    return [line.text for line in shown.lines]


def marked(shown: Any) -> list[str]:
    return [line.text.strip() for line in shown.lines if line.marked]


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":2,"b":1e400,"c":123456789012345678901234567890,"d":"\\u0041\\/","e":[],"f":{},"g":[[1],[2,{"h":null}]]}',
        "[]",
        "7",
        '"{[,:]}\\""',
        ' { "a" : [ 1 , 2 ] } ',
        json.dumps({"rows": [{"id": n, "name": "x" * 40} for n in range(5)]}),
    ],
)
def test_laid_out_json_is_the_same_json(text: str) -> None:
    rows = indent_json(text)
    assert rows is not None

    def bare(json_text: str) -> list[str]:
        return re.findall(r'"(?:\\.|[^"\\])*"|[^\s"]', json_text)

    assert bare("\n".join(line for line, _ in rows)) == bare(text)


def test_laid_out_lines_know_their_places() -> None:
    rows = indent_json('{"a":{"b":[{"c":1,"d":"' + "x" * 70 + '"},2]},"e":null}')
    assert rows is not None
    assert [(line.strip()[:5], where) for line, where in rows] == [
        ("{", ""),
        ('"a": ', "/a"),
        ('"b": ', "/a/b"),
        ("{", "/a/b/0"),
        ('"c": ', "/a/b/0/c"),
        ('"d": ', "/a/b/0/d"),
        ("},", "/a/b/0"),
        ("2", "/a/b/1"),
        ("]", "/a/b"),
        ("},", "/a"),
        ('"e": ', "/e"),
        ("}", ""),
    ]


@pytest.mark.parametrize("text", ["", "{", "<html>", "[" * 100_000, '{"a":}'])
def test_what_is_no_json_is_not_laid_out(text: str) -> None:
    assert indent_json(text) is None


@pytest.mark.parametrize(
    ("expected", "actual", "kind", "marks"),
    [
        ("errMsg: a string", "/errMsg: ['Invalid data: missing']", "k", ['"errMsg": ["no"],']),
        ("a status", "status 206", "status 206", ["HTTP 206  (4.0 ms)"]),
        ("Content-Type: application/json", "no Content-Type", "k", ["Content-Type: (absent)"]),
        ("X-Thing: a", "X-Thing: b", "k", ["x-thing: b"]),
        ("camelCase", "'under_score' at '/data/user/under_score'", "k", ['"under_score": 1']),
        (
            "as declared",
            '/data: data/user: "name" is a required property',
            "k",
            ['"user": {"under_score": 1}'],
        ),
        ("nothing of it", "'gone'", "k", []),
    ],
)
def test_the_place_of_a_finding_is_marked(expected: str, actual: str, kind: str, marks: list[str]) -> None:
    body = '{"isError":false,"errMsg":["no"],"data":{"user":{"under_score":1}}}'
    if "'/data" in actual:
        body = body.replace('"under_score":1', '"name":"' + "x" * 70 + '","under_score":1')
    response = {"status": 206, "headers": {"x-thing": "b"}, "body": body, "seconds": 0.004}
    shown = show_response({"expected": expected, "actual": actual, "kind": kind, "response": response}, 4000)
    assert marked(shown) == marks


def test_what_is_quoted_of_a_request_is_marked() -> None:
    request = {
        "verb": "POST",
        "url": "http://h/a",
        "headers": {"Token": "***"},
        "body": '{"method":"__proto__"}',
    }
    shown = show_request(
        {"expected": "404: '__proto__' is no function", "actual": "", "kind": "", "request": request}, 400
    )
    assert marked(shown) == ['"method": "__proto__"']


def test_long_bodies_are_cut_with_their_length_and_hash() -> None:
    body = "x" * 5000
    response = {"status": 200, "headers": {}, "body": body, "seconds": 0.0}
    shown = show_response({"expected": "", "actual": "", "kind": "", "response": response}, 400)
    assert shown is not None
    assert lines_of(shown)[-1] == "x" * 400
    assert shown.note is not None
    assert "the first 400 of 5,000 characters" in shown.note
    assert hashlib.sha256(body.encode()).hexdigest()[:16] in shown.note


def test_a_finding_without_an_exchange_is_shown() -> None:
    report = report_of(header(), finding("ENV-1", request=None, response=None, curl=None, body=""), END)
    assert "a message" in page_of(report).text


def test_the_payloads_are_hostile() -> None:
    assert not HOSTILE.isprintable()


def test_a_rule_says_how_it_is_broken_and_mended() -> None:
    text = html.render(sample()).decode("utf-8")
    record = RULES["ENV-5"]
    assert str(escape(record.causes)) in text
    assert str(escape(record.remedy)) in text
    assert "docs/rules/ENV-5.md" in text
    assert text.count('<a href="#ENV-5-mended">') == 3
