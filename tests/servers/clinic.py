"""A clinic's patients and visits: identifiers are UUIDs, a child is named with its parent, an auditor only reads.

What is another user's is refused with 403. Prescriptions cannot be changed, notes cannot be read one by one. Patients
have maps keyed by data, visits refer to others in an array and in a nested object. There is a login by key.
"""

from __future__ import annotations

from typing import Any

from tests.servers import engine_http
from tests.servers.declaring import (
    STAMPS,
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

ROLE = "clinician"
PATIENT_ID = ref("patient", formatted("uuid"))
VISIT_ID = ref("visit", formatted("uuid"))
WHO = record(
    {"userId": text(1, 40), "name": text(1, 60), "roles": many(text(1, 20), 5)}, "userId", "name", "roles"
)
QUERY = nullable(text(1, 100))

PATIENT = KindDeclaration(
    "patient",
    ("patientId", PATIENT_ID),
    {
        "name": text(1, 120),
        "born": nullable(formatted("date", default=None)),
        "email": nullable(formatted("email", maxLength=254, default=None)),
        "portal": nullable(formatted("uri", maxLength=300, default=None)),
        "insuranceKey": nullable(formatted("uuid", default=None)),
        "lastSeen": nullable(formatted("date-time", default=None)),
        "bloodType": choice("A", "B", "AB", "O", "unknown", default="unknown"),
        "heartRate": nullable(formatted("int32", "integer", minimum=0, default=None)),
        "weightKg": nullable(formatted("double", "number", exclusiveMinimum=0, maximum=700, default=None)),
        "steps": formatted("int64", "integer", default=0),
        "isInsured": {"type": "boolean", "default": False},
        "allergies": many(text(1, 40), 12, uniqueItems=True, default=[]),
        "readings": many({"type": "number", "minimum": -1000, "maximum": 1_000_000}, 30, default=[]),
        "remarks": {**keyed(text(0, 300), 15), "default": {}},
        "contact": nullable(
            record(
                {
                    "name": text(1, 80),
                    "email": nullable(formatted("email", maxLength=254)),
                    "phone": nullable(text(0, 20, pattern="^[+][0-9]{5,15}$")),
                    "address": record(
                        {"street": text(1, 80), "city": text(1, 60), "floor": number(-5, 200, "integer")}, "city"
                    ),
                },
                "name",
            )
            | {"default": None}
        ),
    },
    ("name",),
    added=STAMPS,
    wrapped=True,
    writer=ROLE,
)  # fmt: skip

VISIT = KindDeclaration(
    "visit",
    ("visitId", VISIT_ID),
    {
        "patientId": PATIENT_ID,
        "startsAt": formatted("date-time"),
        "minutes": number(5, 600, "integer", multipleOf=5, default=15),
        "reason": text(0, 2000, default=""),
        "state": choice("planned", "arrived", "done", default="planned"),
        "codes": many(text(2, 8, pattern="^[A-Z][0-9]{1,4}$"), 8, uniqueItems=True, default=[]),
        "fee": number(0, 100_000, multipleOf=0.01, default=0),
        "earlierVisitIds": many(VISIT_ID, 5, uniqueItems=True, default=[]),
        "referral": nullable(
            record({"visitId": VISIT_ID, "note": text(0, 200), "urgency": formatted("uint8", "integer")}, "visitId")
            | {"default": None}
        ),
        "doses": many(
            record(
                {"drug": text(1, 60), "amount": number(0, 1000, multipleOf=0.0001), "at": nullable(formatted("date"))},
                "drug",
            ),
            10,
            default=[],
        ),
    },
    ("patientId", "startsAt"),
    added=STAMPS,
    parents=("patientId",),
    wrapped=True,
    writer=ROLE,
)  # fmt: skip

PRESCRIPTION = KindDeclaration(
    "prescription",
    ("prescriptionId", ref("prescription", formatted("uuid"))),
    {
        "patientId": PATIENT_ID,
        "drug": text(1, 80),
        "amount": number(exclusiveMinimum=0, exclusiveMaximum=10_000, default=1),
        "untilDate": nullable(formatted("date", default=None)),
        "note": nullable(text(0, 500, default=None)),
    },
    ("patientId", "drug"),
    added={"createdAt": formatted("date-time")},
    wrapped=True,
    writer=ROLE,
)

NOTE = KindDeclaration(
    "note",
    ("noteId", ref("note", formatted("uuid"))),
    {
        "patientId": PATIENT_ID,
        "body": text(0, 4000),
        "isPrivate": {"type": "boolean", "default": False},
        "marks": {**keyed(number(-100, 100, "integer"), 10), "default": {}},
    },
    ("patientId", "body"),
    added=STAMPS,
    writer=ROLE,
)


def counter(kind: str) -> Any:
    """Return a function that counts the caller's own objects of a kind."""

    def count(engine: Engine, call: Call) -> int:
        return engine.list_rows(call, engine.own(call, kind))[1]

    return count


def blood_types(engine: Engine, call: Call) -> list[str]:
    """Return the words for blood types; the result is the list itself."""
    words: list[str] = engine.functions["patient.add"].params["bloodType"]["enum"]
    return engine.cut(call, words)


def all_visits(engine: Engine, call: Call) -> Document:
    """Return how many visits of all users there are, for the auditor."""
    return {"visits": len(engine.items["visit"]), "patients": len(engine.items["patient"])}


def document() -> Schema:
    """Return the catalogue."""
    signed_in = record({"sessionId": text(1, 100), "user": WHO}, "sessionId", "user")
    count: Schema = {"type": "integer", "minimum": 0, "readOnly": True}
    methods = [
        method("desk.signIn", "Sign in.", signed_in, {"name": text(1, 60), "password": text(1, 100)},
               ("name", "password"), auth="none", effect="write"),
        method("desk.signInByKey", "Sign in by key.", signed_in,
               {part: text(0, 200) for part in ("apikey", "time", "random", "hmac")}, auth="none", effect="write")
        | {"x-beyond-schema": True},
        method("desk.signOut", "Sign out.", record({}), effect="write"),
        method("desk.whoAmI", "Whose session this is.", record({"user": WHO}, "user")),
        method("desk.bloodTypes", "The words for blood types.",
               {"type": "array", "items": text(1, 20)}, auth="none", rows=""),
        method("patient.count", "How many patients there are.", count),
        method("audit.totals", "How much there is of all users.",
               record({"visits": count, "patients": count}, "visits", "patients"), auth="auditor"),
        PATIENT.create("add"), PATIENT.read("get"), PATIENT.update("change"), PATIENT.delete("remove"),
        PATIENT.list("list", {"query": QUERY, "bloodType": choice("A", "B", "AB", "O", "unknown"),
                              "isInsured": nullable({"type": "boolean"}), "minHeartRate": number(0, 1000, "integer")},
                     "patientId", "name", "born", "bloodType", "heartRate", "isInsured", "allergies", "createdAt"),
        VISIT.create("add"), VISIT.read("get"), VISIT.update("change"), VISIT.delete("remove"),
        VISIT.list("list", {"state": choice("planned", "arrived", "done"), "query": QUERY,
                            "maxMinutes": number(5, 600, "integer")}),
        PRESCRIPTION.create("add"), PRESCRIPTION.read("get"), PRESCRIPTION.delete("remove"),
        PRESCRIPTION.list("list", {"patientId": PATIENT_ID, "drug": text(1, 80)}),
        NOTE.create("add"), NOTE.update("change"), NOTE.delete("remove"),
        NOTE.list("list", {"patientId": PATIENT_ID, "isPrivate": {"type": "boolean"}}),
    ]  # fmt: skip
    return {"openrpc": "1.3.2", "info": {"title": "Clinic", "version": "1.0.0"}, "methods": methods}


PROFILE = """\
[target]
url = "{url}"
environment = "test"
catalog = "{catalog}"

[auth]
login = {{ function = "desk.signIn", user = "name", secret = "password" }}
logout = "desk.signOut"
whoami = {{ function = "desk.whoAmI", field = "/user/name" }}
session = "/sessionId"
key_login = {{ function = "desk.signInByKey", public = "ward-3-terminal", private = "private-of-ward-3" }}

[users.ines]
user = "ines"
secret = "Stethoscope-41-left"
roles = ["clinician"]

[users.tomas]
user = "tomas"
secret = "Thermometer-36-right"
roles = ["clinician"]

[users.auditor]
user = "vera"
secret = "Ledger-1998-green"
roles = ["auditor"]
"""


def domain() -> Domain:
    """Return the clinic."""
    return Domain(
        title="Clinic",
        base="/rpc/v1/",
        document=document(),
        profile=PROFILE,
        users={
            "ines": ("Stethoscope-41-left", [ROLE]),
            "tomas": ("Thermometer-36-right", [ROLE]),
            "vera": ("Ledger-1998-green", ["auditor"]),
        },
        login=("desk.signIn", "name", "password"),
        logout="desk.signOut",
        whoami="desk.whoAmI",
        signed_in=lambda token, user: {"sessionId": token, "user": user},
        foreign=403,
        keys={"ward-3-terminal": ("private-of-ward-3", "ines")},
        key_login="desk.signInByKey",
        handlers={
            "desk.bloodTypes": blood_types,
            "patient.count": counter("patient"),
            "audit.totals": all_visits,
        },
    )


if __name__ == "__main__":
    engine_http.main(domain, __doc__.splitlines()[0])
