"""Defects that only sequences of calls show, built into the reference service for the tests of the model.

They are not in the list of faults, so that they test the model independently of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from fixtures.faults.steps import replace
from fixtures.service.objects import KINDS
from fixtures.service.service import Service
from fixtures.service.store import Query
from fixtures.service.wire import ApiError, Call, Document, Json, Page

__all__ = ["DEFECTS"]

Violation = Callable[[Service], Service]
DEFECTS: dict[str, Violation] = {}


def defect(violation: Violation) -> Violation:
    DEFECTS[violation.__name__.replace("_", "-")] = violation
    return violation


def keep(service: Service, kind: str, body: Document) -> None:
    shape = KINDS[kind]
    service.store.replace(
        kind, body[shape.identifier], body, row=shape.row(body), search=shape.search_text(body)
    )


def own(service: Service, kind: str, owner: int) -> list[Document]:
    return service.store.select(Query(kind).where("owner = ?", owner), Page())


@defect
def deleted_served_from_cache(service: Service) -> Service:
    """invitation.read caches what it has read, and shows it after a deletion."""
    cache: dict[Any, Document] = {}

    def load(inner: Any, call: Call, kind: str, identifier: Any) -> Document | None:
        found: Document | None = inner(call, kind, identifier)
        if kind != "invitation" or call.name != "invitation.read":
            return found
        if found is not None:
            cache[identifier] = found
        elif identifier in cache and service.store.get("user", call.user_id) is not None:
            return cache[identifier]
        return found

    service.wrap("load", load)
    return service


@defect
def update_resurrects(service: Service) -> Service:
    """lesson.update of a deleted lesson restores it, although it is refused."""
    gone: dict[Any, tuple[int, Document]] = {}

    def remove_object(inner: Any, call: Call, kind: str, identifier: Any) -> None:
        found = service.store.get(kind, identifier)
        if kind == "lesson" and found is not None:
            gone[identifier] = found
        inner(call, kind, identifier)

    def load(inner: Any, call: Call, kind: str, identifier: Any) -> Document | None:
        found: Document | None = inner(call, kind, identifier)
        if found is None and kind == "lesson" and call.name == "lesson.update" and identifier in gone:
            owner, body = gone.pop(identifier)
            if service.store.get("course", body["courseId"]) is not None:
                service.store.insert("lesson", identifier, owner, body, course=body["courseId"])
        return found

    service.wrap("remove_object", remove_object)
    service.wrap("load", load)
    return service


@defect
def second_update_lost(service: Service) -> Service:
    """The second change of a course is accepted and not stored."""
    changes: dict[Any, int] = {}

    def change_object(inner: Any, call: Call, kind: str, body: Document, given: Document) -> Document:
        after: Document = inner(call, kind, body, given)
        if kind == "course":
            number = changes[body["courseId"]] = changes.get(body["courseId"], 0) + 1
            if number == 2:
                keep(service, "course", body)
        return after

    service.wrap("change_object", change_object)
    return service


@defect
def update_leaks_to_sibling(service: Service) -> Service:
    """A change of a lesson's title also changes the lesson created before it."""

    def change_object(inner: Any, call: Call, kind: str, body: Document, given: Document) -> Document:
        after: Document = inner(call, kind, body, given)
        if kind == "lesson" and "title" in given:
            every = own(service, "lesson", call.user_id)
            index = next(i for i, each in enumerate(every) if each["lessonId"] == body["lessonId"])
            if index:
                keep(service, "lesson", every[index - 1] | {"title": given["title"]})
        return after

    service.wrap("change_object", change_object)
    return service


@defect
def delete_breaks_pages(service: Service) -> Service:
    """After a course in the middle was deleted, a page that begins after it begins one row too late."""
    holes: dict[int, list[int]] = {}

    def remove_object(inner: Any, call: Call, kind: str, identifier: Any) -> None:
        if kind == "course":
            every = [body["courseId"] for body in own(service, "course", call.user_id)]
            holes[call.user_id] = [*holes.get(call.user_id, []), every.index(identifier)][-1:]
        inner(call, kind, identifier)

    def list_rows(inner: Any, call: Call, query: Query) -> Any:
        if call.name == "course.find" and call.page.start > 0:
            shift = sum(0 < hole < call.page.start for hole in holes.get(call.user_id, []))
            call.page = Page(call.page.start + shift, call.page.length)
        return inner(call, query)

    service.wrap("remove_object", remove_object)
    service.wrap("list_rows", list_rows)
    return service


@defect
def list_misses_updated(service: Service) -> Service:
    """course.find omits courses that were changed twice."""

    def list_rows(inner: Any, call: Call, query: Query) -> Any:
        if call.name == "course.find":
            query.where("json_extract(body, '$.revision') < 3")
        return inner(call, query)

    service.wrap("list_rows", list_rows)
    return service


@defect
def refused_update_applied(service: Service) -> Service:
    """course.update stores the title before it refuses another member."""

    def validate(inner: Any, call: Call) -> None:
        try:
            inner(call)
        except ApiError:
            data = call.message.get("data")
            if call.name == "course.update" and isinstance(data, dict):
                found = service.store.get("course", data["courseId"]) if "courseId" in data else None
                title = data.get("title")
                if found is not None and found[0] == call.user_id and isinstance(title, str) and title:
                    keep(service, "course", found[1] | {"title": title[:200]})
            raise

    service.wrap("validate", validate)
    return service


@defect
def stale_in_another_session(service: Service) -> Service:
    """course.read caches what it showed in each session, until a change in the same session."""
    cache: dict[tuple[Any, Any], Document] = {}

    def read(inner: Any, service: Service, call: Call) -> Json:
        key = (call.token, call.args["courseId"])
        cache.setdefault(key, inner(service, call))
        return cache[key]

    def update(inner: Any, service: Service, call: Call) -> Json:
        cache.pop((call.token, call.args["courseId"]), None)
        return inner(service, call)

    service.functions["course.read"].wrap(read)
    service.functions["course.update"].wrap(update)
    return service


@defect
def third_login_is_anothers(service: Service) -> Service:
    """Every third login of a user returns a session of another user."""
    logins: dict[int, int] = {}
    users = [user["userId"] for user in service.store.select(Query("user"), Page())]

    def create(inner: Any, user_id: int) -> str:
        logins[user_id] = logins.get(user_id, 0) + 1
        other = next(each for each in users if each != user_id)
        return inner(other if logins[user_id] % 3 == 0 else user_id)  # type: ignore[no-any-return]

    replace(service.sessions, "create", create)
    return service


@defect
def concurrent_updates_swapped(service: Service) -> Service:
    """Of two concurrent changes of courses, the second stores the values of the first."""
    flying: list[Document] = []

    async def update(inner: Any, service: Service, call: Call) -> Json:
        changes = {name: value for name, value in call.args.items() if name != "courseId"}
        flying.append(changes)
        await asyncio.sleep(0.01)
        mixed = flying[0]
        call.args = {"courseId": call.args["courseId"], **mixed}
        result: Json = inner(service, call)
        flying.remove(changes)
        return result

    service.functions["course.update"].wrap(update)
    return service


@defect
def concurrent_update_lost(service: Service) -> Service:
    """lesson.update writes the whole lesson as it was when the call arrived."""

    async def update(inner: Any, service: Service, call: Call) -> Json:
        await asyncio.sleep(0.01)
        return inner(service, call)

    service.functions["lesson.update"].wrap(update)
    return service


@defect
def update_back_ignored(service: Service) -> Service:
    """A change of a lesson back to its first values is ignored."""
    first: dict[Any, Document] = {}

    def change_object(inner: Any, call: Call, kind: str, body: Document, given: Document) -> Document:
        if kind != "lesson":
            return inner(call, kind, body, given)  # type: ignore[no-any-return]
        made = first.setdefault(body["lessonId"], body)
        same = {name for name, value in given.items() if made[name] == value and body[name] != value}
        return inner(  # type: ignore[no-any-return]
            call, kind, body, {name: value for name, value in given.items() if name not in same}
        )

    service.wrap("change_object", change_object)
    return service


@defect
def delete_takes_the_last(service: Service) -> Service:
    """Deleting a course also deletes the user's last one when more than three are left."""

    def remove_object(inner: Any, call: Call, kind: str, identifier: Any) -> None:
        inner(call, kind, identifier)
        if kind == "course":
            every = own(service, "course", call.user_id)
            if len(every) > 3:
                inner(call, kind, every[-1]["courseId"])

    service.wrap("remove_object", remove_object)
    return service


@defect
def ended_session_wakes(service: Service) -> Service:
    """A closed session works again after another one was closed."""
    ended: list[tuple[bytes, int]] = []

    def end(inner: Any, token: bytes) -> None:
        user = service.sessions.lookup(token)
        for old, owner in ended:
            service.store.db.execute(
                "INSERT OR IGNORE INTO session VALUES (?, ?, ?)", (service.sessions.digest(old), owner, 4e9)
            )
        ended.clear()
        inner(token)
        if user is not None:
            ended.append((token, user))

    replace(service.sessions, "end", end)
    return service


@defect
def new_one_like_the_deleted(service: Service) -> Service:
    """A lesson created after a deletion gets the title of the deleted one."""
    last: list[Document] = []

    def remove_object(inner: Any, call: Call, kind: str, identifier: Any) -> None:
        found = service.store.get(kind, identifier)
        if kind == "lesson" and found is not None:
            last[:] = [found[1]]
        inner(call, kind, identifier)

    def add_object(inner: Any, call: Call, kind: str, args: Document, **more: Json) -> Document:
        body: Document = inner(call, kind, args, **more)
        if kind == "lesson" and last:
            keep(service, "lesson", body | {"title": last.pop()["title"]})
        return body

    service.wrap("remove_object", remove_object)
    service.wrap("add_object", add_object)
    return service


@defect
def lesson_writes_course_back(service: Service) -> Service:
    """lesson.add restores the title that the course was created with."""
    made: dict[Any, str] = {}

    def add_object(inner: Any, call: Call, kind: str, args: Document, **more: Json) -> Document:
        body: Document = inner(call, kind, args, **more)
        if kind == "course":
            made[body["courseId"]] = body["title"]
        elif kind == "lesson":
            found = service.store.get("course", body["courseId"])
            if found is not None and body["courseId"] in made:
                keep(service, "course", found[1] | {"title": made[body["courseId"]]})
        return body

    service.wrap("add_object", add_object)
    return service


@defect
def update_after_refusal_lost(service: Service) -> Service:
    """After a refused change of a course, the next change is accepted and not stored."""
    dirty: set[int] = set()

    def validate(inner: Any, call: Call) -> None:
        try:
            inner(call)
        except ApiError:
            if call.name == "course.update":
                dirty.add(call.user_id)
            raise

    def change_object(inner: Any, call: Call, kind: str, body: Document, given: Document) -> Document:
        after: Document = inner(call, kind, body, given)
        if kind == "course" and call.user_id in dirty:
            dirty.discard(call.user_id)
            keep(service, "course", body)
        return after

    service.wrap("validate", validate)
    service.wrap("change_object", change_object)
    return service


@defect
def refused_delete_deletes(service: Service) -> Service:
    """Another user's invitation.remove is refused, but the invitation disappears from the list."""
    hidden: set[Any] = set()

    def load(inner: Any, call: Call, kind: str, identifier: Any) -> Document | None:
        found: Document | None = inner(call, kind, identifier)
        if found is None and call.name == "invitation.remove" and kind == "invitation":
            hidden.add(identifier)
        return found

    def list_rows(inner: Any, call: Call, query: Query) -> Any:
        if call.name == "invitation.find":
            for identifier in hidden:
                query.where("id <> ?", identifier)
        return inner(call, query)

    service.wrap("load", load)
    service.wrap("list_rows", list_rows)
    return service


@defect
def login_shows_old(service: Service) -> Service:
    """After a login, a user's lessons read as they were created, until the next change."""
    made: dict[Any, Document] = {}
    fresh: set[int] = set()

    def create(inner: Any, user_id: int) -> str:
        fresh.add(user_id)
        return inner(user_id)  # type: ignore[no-any-return]

    def add_object(inner: Any, call: Call, kind: str, args: Document, **more: Json) -> Document:
        body: Document = inner(call, kind, args, **more)
        if kind == "lesson":
            made[body["lessonId"]] = body
        return body

    def change_object(inner: Any, call: Call, kind: str, body: Document, given: Document) -> Document:
        fresh.discard(call.user_id)
        return inner(call, kind, body, given)  # type: ignore[no-any-return]

    def read(inner: Any, service: Service, call: Call) -> Json:
        data = inner(service, call)
        if call.user_id in fresh and call.args["lessonId"] in made:
            return {"lesson": data["lesson"] | {"title": made[call.args["lessonId"]]["title"]}}
        return data

    replace(service.sessions, "create", create)
    service.wrap("add_object", add_object)
    service.wrap("change_object", change_object)
    service.functions["lesson.read"].wrap(read)
    return service
