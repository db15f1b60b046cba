"""Every command that docs/import.md shows is run as it stands there."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

import conform
from tests.support import import_documents
from tests.support.exploring import embedded

ROOT = Path(__file__).resolve().parent.parent.parent
LINES = re.findall(r"^    (conform .*?)(?: {2,}.*)?$", (ROOT / "docs" / "import.md").read_text("utf-8"), re.M)


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    with embedded() as url:
        yield url


def test_the_commands_of_the_page(service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are run in the order of the page; a profile is written into a folder of its own."""
    monkeypatch.chdir(tmp_path)
    Path("openapi.yaml").write_text(import_documents.OPENAPI, "utf-8")
    Path("courses.postman_collection.json").write_text(json.dumps(import_documents.postman()), "utf-8")
    Path("openrpc.json").write_text(json.dumps(import_documents.openrpc()), "utf-8")
    answers = {
        "https://t-api.example.com/docs/": service.replace("/api/", "/docs/"),
        "https://t-api.example.com/api/": service,
    }
    assert len(LINES) == 9
    for number, line in enumerate(LINES):
        words = [answers.get(word, word) for word in shlex.split(line)][1:]
        if words[0] == "init":
            Path(f"{number}").mkdir()
            words += ["--dir", f"{number}", "--no-check"]
            words += [] if "--target" in words else ["--target", service]
        assert conform.main(words) == 0, line
    assert sorted(path.name for path in Path().glob("*.openrpc.*")) == [
        *("catalogue.openrpc.json", "page.openrpc.json", "postman.openrpc.json", "rpc.openrpc.yaml"),
    ]
    assert len(list(Path().glob("*/conform.toml"))) == 2
