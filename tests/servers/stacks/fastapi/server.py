"""A naive first version of the notes service on FastAPI. MEND=json,login,… mends one defect for each word."""

import json
import os
import secrets
import socket
from typing import Any

import uvicorn
from fastapi import FastAPI, Header, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException as StarletteException

MENDED = {word for word in os.environ.get("MEND", "").split(",") if word}
STRICT = ConfigDict(strict="types" in MENDED)
app = FastAPI()

USERS = [
    {"userId": 1, "email": "ann@example.com", "password": "ann-Secret-1", "roles": ["user"]},
    {"userId": 2, "email": "bo@example.com", "password": "bo-Secret-2", "roles": ["user"]},
    {"userId": 3, "email": "root@example.com", "password": "root-Secret-3", "roles": ["user", "admin"]},
]
sessions: dict[str, int] = {}
notes: dict[int, dict[str, Any]] = {}
last_session = 1000


class Call(BaseModel):
    method: str
    data: dict[str, Any] | None = None
    pageStart: Any = None  # noqa: N815
    pageLength: Any = None  # noqa: N815


class Login(BaseModel):
    model_config = STRICT
    identity: str
    credential: str


class NoteId(BaseModel):
    model_config = STRICT
    noteId: int = Field(ge=1)  # noqa: N815


class Fields(BaseModel):
    model_config = STRICT
    text: str = Field("", max_length=2000)
    priority: int = Field(3, ge=1, le=5)
    pinned: bool = False
    tags: list[str] = Field([], max_length=10)


class NewNote(Fields):
    title: str = Field(min_length=1, max_length=100)


class Query(BaseModel):
    model_config = STRICT
    query: str = Field("", max_length=100)


class NoteChange(NoteId):
    title: str | None = Field(None, min_length=1, max_length=100)
    text: str | None = Field(None, max_length=2000)
    priority: int | None = Field(None, ge=1, le=5)
    pinned: bool | None = None
    tags: list[str] | None = Field(None, max_length=10)


def envelope(status: int, message: str) -> JSONResponse:
    return JSONResponse({"isError": True, "errMsg": message, "data": None}, status)


def answered(data: Any) -> dict[str, Any]:
    return {"isError": False, "errMsg": None, "data": data}


def paged(call: Call, rows: list[Any]) -> list[Any]:
    start, length = call.pageStart, call.pageLength
    if "paging" in MENDED:
        for value in (start, length):
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
                raise HTTPException(400, "paging is not valid")
    rows = rows[start or 0 :]
    return rows if length is None else rows[:length]


def user_of(token: str | None) -> dict[str, Any]:
    if token not in sessions:
        raise HTTPException(401, "Not logged in")
    return next(user for user in USERS if user["userId"] == sessions[token])


def note_of(number: int, user: dict[str, Any]) -> dict[str, Any]:
    if "missing" in MENDED and number not in notes:
        raise HTTPException(404, "No such note")
    note = notes[number]
    if "owner" in MENDED and note["ownerId"] != user["userId"]:
        raise HTTPException(404, "No such note")
    return note


def shown(note: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in note.items() if name != "ownerId"}


@app.post("/api/auth")
def auth(call: Call, token: str | None = Header(None)):
    global last_session
    data = call.data or {}
    if call.method == "login":
        login = Login(**data)
        found = [each for each in USERS if each["email"] == login.identity]
        if "login" in MENDED and (not found or found[0]["password"] != login.credential):
            raise HTTPException(401, "Wrong e-mail or password")
        user = found[0]
        if user["password"] != login.credential:
            raise HTTPException(401, "Wrong password")
        last_session += 1
        session = secrets.token_hex(24) if "random" in MENDED else f"session-{last_session}"
        sessions[session] = user["userId"]
        return answered({"sessionId": session})
    user = user_of(token)
    if call.method == "logout":
        del sessions[token]
        return answered({})
    if call.method == "status":
        return answered({"user": {name: user[name] for name in ("userId", "email", "roles")}})
    return unknown()


def unknown():
    if "unknown" in MENDED:
        raise HTTPException(404, "Function doesn't exist")


@app.post("/api/user")
def user(call: Call, token: str | None = Header(None)):
    caller = user_of(token)
    if call.method != "find":
        return unknown()
    if "admin" not in caller["roles"]:
        raise HTTPException(403, "Admins only")
    rows = [{name: each[name] for name in ("userId", "email", "roles")} for each in USERS]
    return answered({"users": paged(call, rows)})


@app.post("/api/note")
def note(call: Call, token: str | None = Header(None)):
    caller = user_of(token)
    data = call.data or {}
    if call.method == "create":
        fields = NewNote(**data)
        number = len(notes) + 1 if not notes else max(notes) + 1
        notes[number] = {"noteId": number, "ownerId": caller["userId"], **fields.model_dump()}
        return answered({"noteId": number})
    if call.method == "read":
        return answered({"note": shown(note_of(NoteId(**data).noteId, caller))})
    if call.method == "update":
        change = NoteChange(**data)
        found = note_of(change.noteId, caller)
        found.update(change.model_dump(exclude_unset=True))
        return answered({"note": shown(found)})
    if call.method == "delete":
        del notes[note_of(NoteId(**data).noteId, caller)["noteId"]]
        return answered({})
    if call.method == "find":
        query = Query(**data).query
        rows = [
            shown(each)
            for each in notes.values()
            if each["ownerId"] == caller["userId"] and query in each["title"]
        ]
        return answered({"notes": paged(call, rows)})
    return unknown()


if "pydantic" in MENDED:
    from pydantic import ValidationError

    @app.exception_handler(ValidationError)
    async def invalid(request: Request, error: ValidationError):
        return envelope(400, f"{error.errors()[0]['loc']}: {error.errors()[0]['msg']}")


if "json" in MENDED:

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError):
        return envelope(400, "The body is not a call")


@app.exception_handler(HTTPException)
async def refused(request: Request, error: HTTPException):
    return envelope(error.status_code, error.detail)


if "route" in MENDED:

    @app.exception_handler(StarletteException)
    async def no_route(request: Request, error: StarletteException):
        return envelope(error.status_code, str(error.detail))


if "crash" in MENDED:

    @app.exception_handler(Exception)
    async def crashed(request: Request, error: Exception):
        return envelope(500, "Something went wrong")


if "headers" in MENDED:

    @app.middleware("http")
    async def headers(request: Request, call_next):
        response = await call_next(request)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cache-Control"] = "no-store"
        return response


if __name__ == "__main__":
    listening = socket.socket()
    listening.bind(("127.0.0.1", int(os.environ.get("PORT", "0"))))
    print(json.dumps({"url": f"http://127.0.0.1:{listening.getsockname()[1]}/api/"}), flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="critical")).run([listening])
