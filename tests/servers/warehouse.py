"""A warehouse's items, bins and orders: identifiers are words made of names, and members that nobody gave are left out.

What is another user's is refused with 404. Orders refer to items in an array of objects and to a depot in an object.
A bin is named with its depot. Receipts can neither be read one by one nor changed. Deleting returns a number.
"""

from __future__ import annotations

from tests.servers import engine_http
from tests.servers.clinic import QUERY, WHO, counter
from tests.servers.declaring import (
    KindDeclaration,
    Schema,
    choice,
    formatted,
    keyed,
    many,
    method,
    nullable,
    number,
    record,
    ref,
    text,
)
from tests.servers.engine import Engine
from tests.servers.engine_model import Call, Document, Domain

SLUG = text(1, 80, pattern="^[a-z0-9]+(-[a-z0-9]+)*$")
ITEM_ID, DEPOT_ID, BIN_ID, ORDER_ID = (ref(kind, SLUG) for kind in ("item", "depot", "bin", "order"))
CREATED: dict[str, Schema] = {"createdAt": formatted("date-time")}

ITEM = KindDeclaration(
    "item",
    ("itemId", ITEM_ID),
    {
        "title": text(1, 150),
        "ean": text(13, 13, pattern="^[0-9]+$"),
        "summary": nullable(text(0, 10_000)),
        "quantity": number(0, 1_000_000, "integer"),
        "rank": formatted("int16", "integer"),
        "serial": formatted("int64", "integer"),
        "price": number(0, 1_000_000, multipleOf=0.01),
        "density": formatted("float", "number"),
        "tolerance": nullable(number(0, 1, multipleOf=0.0001)),
        "isFragile": {"type": "boolean"},
        "unit": nullable(choice("piece", "box", "pallet")),
        "photo": formatted("uri", maxLength=400),
        "supplierEmail": formatted("email", maxLength=254),
        "supplierKey": formatted("uuid"),
        "soldFrom": formatted("date"),
        "countedAt": nullable(formatted("date-time")),
        "tags": many(text(1, 30), 15, uniqueItems=True),
        "sizes": many(number(0, 10_000), 3, minItems=3),
        "names": keyed(text(1, 150), 12, text(2, 20)),
        "stock": keyed(record({"count": number(0, 100_000, "integer"), "note": nullable(text(0, 80))}, "count"), 10),
        "package": record(
            {
                "label": text(0, 60),
                "outer": record(
                    {"wide": number(0, 1000), "high": number(0, 1000), "marks": many(text(1, 20), 5)}, "wide"
                ),
            }
        ),
    },
    ("title",),
    added={**CREATED, "changedAt": formatted("date-time", readOnly=True)},
    optional=True,
    writer="keeper",
)  # fmt: skip

DEPOT = KindDeclaration(
    "depot",
    ("depotId", DEPOT_ID),
    {"title": text(1, 80), "city": text(1, 80), "open": {"type": "boolean"}, "zones": many(text(1, 10), 8)},
    ("title",),
    added=CREATED,
    optional=True,
    writer="keeper",
)

BIN = KindDeclaration(
    "bin",
    ("binId", BIN_ID),
    {
        "depotId": DEPOT_ID,
        "title": text(1, 60),
        "itemIds": many(ITEM_ID, 10, uniqueItems=True),
        "maxKilos": nullable(number(0, 5000)),
        "isCold": {"type": "boolean"},
    },
    ("depotId", "title"),
    added=CREATED,
    optional=True,
    parents=("depotId",),
    writer="keeper",
)

ORDER = KindDeclaration(
    "order",
    ("orderId", ORDER_ID),
    {
        "title": text(1, 100),
        "state": choice("draft", "placed", "sent"),
        "dueOn": formatted("date"),
        "lines": many(
            record(
                {"itemId": ITEM_ID, "count": number(1, 1000, "integer"), "remark": nullable(text(0, 200))},
                "itemId",
                "count",
            ),
            20,
        ),
        "shipTo": nullable(
            record(
                {
                    "name": text(1, 80),
                    "depotId": DEPOT_ID,
                    "address": record(
                        {"street": text(1, 80), "postcode": text(3, 10), "country": text(2, 2, pattern="^[A-Z]{2}$")},
                        "street",
                    ),
                },
                "name",
            )
        ),
        "comment": nullable(text(0, 3000)),
        "weight": number(exclusiveMinimum=0, exclusiveMaximum=10_000),
    },
    ("title",),
    added={**CREATED, "revision": {"type": "integer", "minimum": 1, "readOnly": True}},
    optional=True,
)  # fmt: skip

RECEIPT = KindDeclaration(
    "receipt",
    ("receiptId", ref("receipt", SLUG)),
    {
        "itemId": ITEM_ID,
        "count": number(1, 10_000, "integer"),
        "source": text(0, 100),
        "priceEach": number(0, 10_000),
    },
    ("itemId", "count"),
    added=CREATED,
    optional=True,
    writer="keeper",
)


def units(engine: Engine, call: Call) -> list[Document]:
    """Return the units in which items are counted."""
    rows = [{"unit": unit, "pieces": pieces} for unit, pieces in (("piece", 1), ("box", 12), ("pallet", 600))]
    return engine.cut(call, rows)


def stock_report(engine: Engine, call: Call) -> Document:
    """Return how many objects there are of all users, for viewers."""
    return {"kinds": {name: len(items) for name, items in engine.items.items()}}


def document() -> Schema:
    """Return the catalogue."""
    signed_in = record(
        {"session": record({"key": text(1, 100)}, "key"), "name": text(1, 60)}, "session", "name"
    )
    count: Schema = {"type": "integer", "minimum": 0, "readOnly": True}
    gone: Schema = {"type": "integer", "minimum": 1}
    unit = record({"unit": text(1, 20), "pieces": number(1, 10_000, "integer")}, "unit", "pieces")
    methods = [
        method("gate.enter", "Sign in.", signed_in, {"badge": text(1, 60), "code": text(1, 100)},
               ("badge", "code"), auth="none", effect="write"),
        method("gate.leave", "Sign out.", record({}), effect="write"),
        method("gate.self", "Whose session this is.", record({"user": WHO}, "user")),
        method("unit.list", "The units in which items are counted.", {"type": "array", "items": unit},
               auth="none", rows=""),
        method("order.count", "How many orders there are.", count),
        method("report.stock", "How much there is of all users.",
               record({"kinds": {**keyed(count, 20), "readOnly": True}}, "kinds"), auth="viewer"),
        ITEM.create("enter"), ITEM.read("show"), ITEM.update("edit"), ITEM.delete("drop", gone),
        ITEM.list("search", {"query": QUERY, "tag": text(1, 30), "isFragile": nullable({"type": "boolean"}),
                             "minQuantity": number(0, 1_000_000, "integer"), "maxPrice": number(0)},
                  "itemId", "title", "quantity", "price", "isFragile", "tags"),
        DEPOT.create("enter"), DEPOT.read("show"), DEPOT.update("edit"), DEPOT.delete("drop", gone),
        DEPOT.list("search", {"city": text(1, 80)}, "depotId", rows=""),
        BIN.create("enter"), BIN.read("show"), BIN.update("edit"), BIN.delete("drop", gone),
        BIN.list("search", {"isCold": {"type": "boolean"}, "query": QUERY}),
        ORDER.create("enter"), ORDER.read("show"), ORDER.update("edit"), ORDER.delete("drop", gone),
        ORDER.list("search", {"state": choice("draft", "placed", "sent"), "query": QUERY, "dueOn": formatted("date")},
                   total=False),
        RECEIPT.create("enter"), RECEIPT.delete("drop", gone),
        RECEIPT.list("search", {"itemId": ITEM_ID, "minCount": number(1, 10_000, "integer")}),
    ]  # fmt: skip
    return {"openrpc": "1.3.2", "info": {"title": "Warehouse", "version": "3.1.0"}, "methods": methods}


PROFILE = """\
[target]
url = "{url}"
environment = "test"
catalog = "{catalog}"

[auth]
login = {{ function = "gate.enter", user = "badge", secret = "code" }}
logout = "gate.leave"
whoami = {{ function = "gate.self", field = "/user/name" }}
session = "/session/key"

[users.kim]
user = "kim-7"
secret = "Forklift:Blue:77"
roles = ["keeper"]

[users.lena]
user = "lena-9"
secret = "Pallet:Grey:15"
roles = ["keeper"]

[users.viewer]
user = "vik-2"
secret = "Window:White:31"
roles = ["viewer"]
"""


def domain() -> Domain:
    """Return the warehouse."""
    return Domain(
        title="Warehouse",
        base="/",
        document=document(),
        profile=PROFILE,
        users={
            "kim-7": ("Forklift:Blue:77", ["keeper"]),
            "lena-9": ("Pallet:Grey:15", ["keeper"]),
            "vik-2": ("Window:White:31", ["viewer"]),
        },
        login=("gate.enter", "badge", "code"),
        logout="gate.leave",
        whoami="gate.self",
        signed_in=lambda token, user: {"session": {"key": token}, "name": user["name"]},
        handlers={"unit.list": units, "order.count": counter("order"), "report.stock": stock_report},
    )


if __name__ == "__main__":
    engine_http.main(domain, __doc__.splitlines()[0])
