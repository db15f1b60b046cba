"""The lending library's catalogue, an OpenRPC document, and its profile."""

from __future__ import annotations

import copy
from typing import Any

Schema = dict[str, Any]


def _text(**more: Any) -> Schema:
    return {"type": "string", **more}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _open(**properties: Schema) -> Schema:
    """An object with all of these members, and perhaps others."""
    return {"type": "object", "required": list(properties), "properties": properties}


def _closed(**properties: Schema) -> Schema:
    return {**_open(**properties), "additionalProperties": False}


def _param(name: str, schema: Schema, required: bool = False, description: str = "") -> Schema:
    return {"name": name, "required": required, "description": description, "schema": schema}


def _method(
    name: str,
    summary: str,
    result: Schema,
    *params: Schema,
    auth: str | None = "session",
    effect: str | None = "read",
    **more: Any,
) -> Schema:
    method: Schema = {"name": name, "summary": summary, "paramStructure": "by-name", "params": list(params)}
    method["result"] = {"name": "data", "schema": result}
    if auth is not None:
        method["x-auth"] = auth
    if effect is not None:
        method["x-effect"] = effect
    method.update({"x-" + key.replace("_", "-"): value for key, value in more.items()})
    return method


SHELF_ID: Schema = {"type": "integer", "minimum": 1, "x-ref": "shelf"}
TITLE = _text(minLength=1, maxLength=200)
ISBN: Schema = {"type": ["string", "null"], "pattern": "^[0-9]{13}$", "default": None}
LANGUAGE: Schema = {"enum": ["en", "sv", "de"], "default": "en"}
COPIES: Schema = {"type": "integer", "minimum": 1, "maximum": 999, "default": 1}
PRICE: Schema = {"type": "number", "minimum": 0, "default": 0}
TAGS: Schema = {
    "type": "array",
    "items": _text(minLength=1, maxLength=40),
    "maxItems": 10,
    "uniqueItems": True,
    "default": [],
}
LABELS: Schema = {"type": "object", "additionalProperties": _text(), "maxProperties": 20, "default": {}}
SIZE = _closed(
    height={"type": "integer", "exclusiveMinimum": 0}, width={"type": "integer", "exclusiveMinimum": 0}
)
SIZE_OR_NULL: Schema = {"anyOf": [{"$ref": "#/components/schemas/Size"}, {"type": "null"}], "default": None}
KEEPER: Schema = {"type": ["string", "null"], "format": "email", "default": None}
ON_SHELF: Schema = {"type": ["integer", "null"], "minimum": 1, "x-ref": "shelf", "default": None}
NOTE = _text(default="")

LABEL = _text(minLength=1, maxLength=80)
FLOOR: Schema = {"type": "integer", "default": 0}
OPEN: Schema = {"type": "boolean", "default": True}
FEE: Schema = {"type": "number", "minimum": 0, "maximum": 1000, "multipleOf": 0.25, "default": 0}

TIME = _text(format="date-time", readOnly=True)
STRINGS: Schema = {"type": "array", "items": _text()}

BOOK_PARAMS = [
    _param("isbn", ISBN),
    _param("language", LANGUAGE),
    _param("copies", COPIES),
    _param("price", PRICE),
    _param("tags", TAGS),
    _param("labels", LABELS),
    _param("size", SIZE_OR_NULL),
    _param("keeper", KEEPER),
    _param("shelfId", ON_SHELF),
    _param("note", NOTE),
]
REMARK_PARAMS = [
    _param("text", _text(maxLength=2000, default="")),
    _param(
        "compared",
        {
            "type": "array",
            "items": _closed(
                bookId=_text(minLength=1, **{"x-ref": "book"}), page={"type": "integer", "minimum": 1}
            ),
            "maxItems": 5,
            "default": [],
        },
    ),
    _param("pages", {"type": "array", "items": {"type": "integer", "minimum": 0}, "default": []}),
    _param("glossary", {"type": "object", "additionalProperties": _text(maxLength=200), "default": {}}),
]


def _plain(schema: Schema) -> Schema:
    """The schema of a parameter as that of a result."""
    plain = {key: value for key, value in schema.items() if key not in ("default", "x-ref")}
    if isinstance(plain.get("items"), dict):
        plain["items"] = _plain(plain["items"])
    if "properties" in plain:
        plain["properties"] = {name: _plain(part) for name, part in plain["properties"].items()}
    return plain


COMPONENTS: Schema = {
    "contentDescriptors": {
        "BookId": _param("bookId", _text(minLength=1, **{"x-ref": "book"}), required=True)
    },
    "schemas": {
        "Size": SIZE,
        "Book": _closed(
            bookId=_text(minLength=1),
            title=TITLE,
            **{param["name"]: _plain(param["schema"]) for param in BOOK_PARAMS},
            revision={"type": "integer", "minimum": 1, "readOnly": True},
            changedAt=TIME,
        ),
        "BookRow": _closed(bookId=_text(minLength=1), title=TITLE, language=_plain(LANGUAGE)),
        "BookAnswer": _closed(book={"$ref": "#/components/schemas/Book"}),
        "Shelf": _closed(
            shelfId={"type": "integer", "minimum": 1},
            label=LABEL,
            floor=_plain(FLOOR),
            open=_plain(OPEN),
            fee=_plain(FEE),
        ),
        "Loan": _open(
            loanId=_text(minLength=1),
            bookIds={"type": "array", "items": _text(), "minItems": 1, "maxItems": 5},
            fromDay=_text(format="date"),
            untilDay={"type": ["string", "null"], "format": "date"},
            remark=_text(maxLength=500),
            meta=_open(createdAt=TIME),
        ),
        "Remark": _closed(
            remarkNo={"type": "integer", "minimum": 1},
            bookId=_text(minLength=1),
            **{param["name"]: _plain(param["schema"]) for param in REMARK_PARAMS},
        ),
        "Ticket": _open(ticket=_open(id=_text(minLength=1), since=TIME)),
        "Reader": _open(handle=_text(minLength=1), nickname=_text(), roles=STRINGS),
    },
}

GONE = _closed(gone={"const": True, "type": "boolean"})
BOOK_ID: Schema = {"$ref": "#/components/contentDescriptors/BookId"}
SHELF: Schema = {"kind": "shelf", "id": "shelfId"}
LOAN: Schema = {"kind": "loan", "id": "loanId"}
LOAN_ID = _param("loanId", _text(minLength=1, **{"x-ref": "loan"}), required=True)
REMARK: Schema = {"kind": "remark", "id": "remarkNo"}
REMARK_NO = _param("remarkNo", {"type": "integer", "minimum": 1, "x-ref": "remark"}, required=True)
ANY_SHELF_ID = _param("shelfId", SHELF_ID, required=True)

METHODS: list[Schema] = [
    _method(
        "session.open",
        "Start a visit with name and pass phrase.",
        _ref("Ticket"),
        _param("userName", _text(minLength=1), required=True),
        _param("passPhrase", _text(minLength=1), required=True),
        auth="none",
        effect="write",
    ),
    _method(
        "session.openKey",
        "Start a visit with a key pair; the four values may come in headers too.",
        _ref("Ticket"),
        *(_param(name, _text()) for name in ("apikey", "time", "random", "hmac")),
        auth="none",
        effect="write",
        beyond_schema=True,
    ),
    _method("session.close", "End this visit.", {"type": "null"}, effect="write"),
    _method("session.whoAmI", "Whose visit this is.", _closed(reader=_ref("Reader")), auth=None),
    _method(
        "desk.hours",
        "When the library is open.",
        _closed(hours={"type": "object", "additionalProperties": _text()}, closedToday={"type": "boolean"}),
        auth="none",
    ),
    _method(
        "desk.news",
        "What is new.",
        _closed(news={"type": "array", "items": _closed(newsId={"type": "integer"}, headline=_text())}),
        auth="none",
        rows="/news",
    ),
    _method(
        "reader.list",
        "All readers.",
        _closed(readers={"type": "array", "items": _closed(handle=_text(), nickname=_text())}),
        auth="librarian",
        rows="/readers",
        object={"kind": "reader", "does": "list", "id": "/handle"},
    ),
    _method(
        "reader.get",
        "One reader.",
        _closed(reader=_ref("Reader")),
        _param("handle", _text(minLength=1, **{"x-ref": "reader"}), required=True),
        auth="librarian",
        object={"kind": "reader", "does": "read", "id": "handle", "at": "/reader"},
    ),
    _method(
        "reader.change",
        "Choose a nickname.",
        _closed(reader=_ref("Reader")),
        _param("nickname", _text(maxLength=60), required=True),
        effect="write",
    ),
    _method(
        "book.create",
        "Enter a book.",
        _ref("BookAnswer"),
        _param("title", TITLE, required=True),
        *BOOK_PARAMS,
        effect=None,
        object={"kind": "book", "does": "create", "id": "/book/bookId", "at": "/book"},
    ),
    _method(
        "book.get",
        "One book.",
        _ref("BookAnswer"),
        BOOK_ID,
        object={"kind": "book", "does": "read", "id": "bookId", "at": "/book"},
    ),
    _method(
        "book.change",
        "Change what is given of a book.",
        _ref("BookAnswer"),
        BOOK_ID,
        _param("title", TITLE),
        *(
            _param(param["name"], {key: value for key, value in param["schema"].items() if key != "default"})
            for param in BOOK_PARAMS
        ),
        effect="write",
        object={"kind": "book", "does": "update", "id": "bookId", "at": "/book"},
    ),
    _method(
        "book.destroy",
        "Remove a book.",
        GONE,
        BOOK_ID,
        effect="delete",
        object={"kind": "book", "does": "delete", "id": "bookId"},
    ),
    _method(
        "book.list",
        "One's own books, in the order of entry.",
        _closed(result=_closed(items={"type": "array", "items": _ref("BookRow")}, total={"type": "integer"})),
        _param("titleContains", _text()),
        _param("language", {"enum": ["en", "sv", "de"]}),
        rows="/result/items",
        object={"kind": "book", "does": "list", "id": "/bookId"},
    ),
    _method(
        "shelf.create",
        "Put up a shelf; numbers of shelves taken down are used again.",
        _ref("Shelf"),
        _param("label", LABEL, required=True),
        _param("floor", FLOOR),
        _param("open", OPEN),
        _param("fee", FEE),
        effect="write",
        object={**SHELF, "does": "create", "id": "/shelfId"},
    ),
    _method("shelf.get", "One shelf.", _ref("Shelf"), ANY_SHELF_ID, object={**SHELF, "does": "read"}),
    _method(
        "shelf.change",
        "Change what is given of a shelf.",
        _ref("Shelf"),
        ANY_SHELF_ID,
        _param("label", LABEL),
        _param("floor", {"type": "integer"}),
        _param("open", {"type": "boolean"}),
        _param("fee", {key: value for key, value in FEE.items() if key != "default"}),
        effect="write",
        object={**SHELF, "does": "update"},
    ),
    _method(
        "shelf.relabel",
        "Give a shelf another label.",
        _ref("Shelf"),
        ANY_SHELF_ID,
        _param("label", LABEL, required=True),
        effect="write",
        object={**SHELF, "does": "update"},
    ),
    _method(
        "shelf.destroy",
        "Take a shelf down.",
        GONE,
        ANY_SHELF_ID,
        effect="delete",
        object={**SHELF, "does": "delete"},
    ),
    _method(
        "shelf.list",
        "One's own shelves.",
        {"type": "array", "items": _closed(shelfId={"type": "integer"}, label=LABEL)},
        _param("floor", {"type": "integer"}),
        rows="",
        object={**SHELF, "does": "list", "id": "/shelfId"},
    ),
    _method(
        "loan.create",
        "Lend books; the last day may not be before the first.",
        _closed(loanId=_text(minLength=1)),
        _param(
            "bookIds",
            {
                "type": "array",
                "items": _text(minLength=1, **{"x-ref": "book"}),
                "minItems": 1,
                "maxItems": 5,
            },
            required=True,
        ),
        _param("fromDay", _text(format="date"), required=True),
        _param("untilDay", {"type": ["string", "null"], "format": "date", "default": None}),
        _param("remark", _text(maxLength=500, default="")),
        auth="member",
        effect="write",
        beyond_schema=True,
        object={**LOAN, "does": "create", "id": "/loanId"},
    ),
    _method(
        "loan.get",
        "One loan.",
        _closed(loan=_ref("Loan")),
        LOAN_ID,
        auth="member",
        object={**LOAN, "does": "read", "at": "/loan"},
    ),
    _method(
        "loan.destroy",
        "Forget a loan.",
        GONE,
        LOAN_ID,
        auth="member",
        effect="delete",
        object={**LOAN, "does": "delete"},
    ),
    _method(
        "loan.list",
        "The identifiers of one's own loans.",
        _closed(loans=STRINGS),
        auth="member",
        rows="/loans",
        object={**LOAN, "does": "list", "id": ""},
    ),
    _method(
        "remark.create",
        "Write a remark on a book; there is no function that reads one alone.",
        _ref("Remark"),
        _param("bookId", _text(minLength=1, **{"x-ref": "book"}), required=True),
        *REMARK_PARAMS,
        effect="write",
        object={**REMARK, "does": "create", "id": "/remarkNo"},
    ),
    _method(
        "remark.change",
        "Change what is given of a remark.",
        _ref("Remark"),
        REMARK_NO,
        *(
            _param(param["name"], {key: value for key, value in param["schema"].items() if key != "default"})
            for param in REMARK_PARAMS
        ),
        effect="write",
        object={**REMARK, "does": "update"},
    ),
    _method(
        "remark.destroy",
        "Wipe a remark out.",
        GONE,
        REMARK_NO,
        effect="delete",
        object={**REMARK, "does": "delete"},
    ),
    _method(
        "remark.list",
        "The remarks on a book.",
        _closed(remarks={"type": "array", "items": _ref("Remark")}),
        _param("bookId", _text(minLength=1, **{"x-ref": "book"}), required=True),
        rows="/remarks",
        object={**REMARK, "does": "list", "id": "/remarkNo"},
    ),
]


def document() -> Schema:
    """The catalogue, a fresh copy."""
    return copy.deepcopy(
        {
            "openrpc": "1.3.2",
            "info": {"title": "Lending library", "version": "2.0.0"},
            "methods": METHODS,
            "components": COMPONENTS,
        }
    )


PROFILE = """\
[target]
url = "{url}"
environment = "test"
catalog = "{catalog}"
timeout = 10.0

[auth]
login = {{ function = "session.open", user = "userName", secret = "passPhrase" }}
logout = "session.close"
whoami = {{ function = "session.whoAmI", field = "/reader/handle" }}
session = "/ticket/id"
key_login = {{ function = "session.openKey", public = "desk-terminal-1", private = "kY7-private-desk" }}

[users.marian]
user = "marian"
secret = "Quiet Please, 1957"
roles = ["member"]

[users.asa]
user = "Åsa_K"
secret = "lånekort?Blått!88"
roles = ["member"]

[users.head]
user = "head-of-house"
secret = "DeweyDecimal/025.431"
roles = ["librarian"]

[load]
scenario = "steady"
rate = 50
duration = "10s"
mix = {{ "book.list" = 3, "book.get" = 3, "book.create" = 1, "desk.hours" = 2 }}
slo = ["errors < 0.1%", "nonconformant = 0"]
"""
