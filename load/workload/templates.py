"""Request templates: requests that are complete but for the session, with valid data drawn ahead of the run."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from conformance.catalog.model import Method
from conformance.generation import payloads
from conformance.generation.errors import CannotGenerate
from conformance.protocol.caller import OMIT, Caller
from conformance.protocol.profile import Profile
from conformance.protocol.session import Sessions, SetUpFailedError
from conformance.resources.registry import Resource, Resources
from load.workload.calls import Call, Learn
from load.workload.occupancy import Seats
from load.workload.seen import Shape
from load.workload.shapes_as_seen import data_as_seen
from load.workload.stock import Stock
from load.workload.virtual_users import VirtualUser

__all__ = ["Recipe", "RequestTemplate", "TemplateBuilder", "TemplateSet", "UniqueTexts"]

#: Templates of a function for each user.
_TEMPLATES = 24

#: The largest body of a template with drawn data, in bytes.
_MAX_BODY_BYTES = 8_192

#: The numbers of rows that templates of a list ask for, in rotation.
_PAGE_LENGTHS = (10, 20, 50)

#: Stands in a template for the number that makes each call's texts unique; as long as its replacement.
_NUMBER = "-00000000"


class UniqueTexts:
    """Generates the run's tag with a number that is unique: for free texts of the data that is sent."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        #: While templates are built, a placeholder takes the place of the number.
        self.templating = False
        #: The numbers of calls count up; those of objects that set-up creates count down from the largest.
        self.numbers = itertools.count(1)
        self._set_up_numbers = itertools.count(99_999_999, -1)

    def next(self) -> str:
        """Return the next text."""
        return self.tag + (_NUMBER if self.templating else f"-{next(self._set_up_numbers):08d}")


class _Symbol(str):
    """Stands in drawn data for the identifier of a user's object: its kind, and its position in the stock."""

    __slots__ = ("kind", "place")

    def __new__(cls, kind: str, place: int) -> _Symbol:
        made = super().__new__(cls, f"{kind}/{place}")
        made.kind, made.place = kind, place
        return made

    kind: str
    place: int


class RequestTemplate:
    """A request without the session: its head up to the token, and its body with placeholders for numbers."""

    __slots__ = ("_parts", "calls", "data", "head")

    def __init__(
        self, head: bytes, body: bytes, data: dict[str, Any] | None = None, mark: bytes = b""
    ) -> None:
        """`mark` is the placeholder in the body; `data` is what has to be remembered of an object that it creates."""
        self.head = head + b"Content-Length: %d\r\n" % len(body)
        self._parts = body.split(mark) if mark else [body]
        #: By virtual user: the call that was built from it, where all of them have the same bytes.
        self.calls: dict[VirtualUser, Call] = {}
        self.data = data or {}

    @property
    def numbered(self) -> bool:
        """Whether each call has texts of its own."""
        return len(self._parts) > 1

    def body(self, numbers: Iterator[int]) -> bytes:
        """Return a body, with the next number in place of the placeholders."""
        if len(self._parts) == 1:
            return self._parts[0]
        return (b"-%08d" % (next(numbers) % 100_000_000)).join(self._parts)


@dataclass(slots=True, eq=False)
class TemplateSet:
    """The templates of a function for one user, used in rotation."""

    templates: list[RequestTemplate]
    at: int = 0

    def next(self) -> RequestTemplate:
        """Return the next template."""
        template = self.templates[self.at]
        self.at = (self.at + 1) % len(self.templates)
        return template


@dataclass(slots=True, eq=False)
class Recipe:
    """How the calls of one function are built."""

    name: str
    method: Method
    index: int
    head: bytes
    learn: Learn | None = None
    expects: frozenset[int] | None = None
    #: The kind of object that each call consumes, and the argument that names the object.
    spends: tuple[str, str] | None = None
    login: bool = False
    creates: bool = False
    virtual_users: list[VirtualUser] = field(default_factory=list)
    template_sets: dict[str, TemplateSet] = field(default_factory=dict)
    at: int = 0
    #: Selects the virtual users.
    seats: Seats | None = None

    def virtual_user(self) -> VirtualUser:
        """Return a virtual user whose session is free; where none is, the next in rotation."""
        assert self.seats is not None
        return self.seats.next()


class TemplateBuilder:
    """Builds the request templates of one process."""

    def __init__(
        self,
        profile: Profile,
        caller: Caller,
        sessions: Sessions,
        resources: Resources,
        stock: Stock,
        texts: UniqueTexts,
        *,
        seed: int,
        index: int,
    ) -> None:
        self._profile = profile
        self._caller = caller
        self._sessions = sessions
        self._resources = resources
        self._stock = stock
        self._texts = texts
        self._seed, self._index = seed, index
        self._drawn_data: dict[tuple[str, str | None], list[dict[str, Any]]] = {}
        #: By function: the shapes of calls in recorded traffic, where the load follows it.
        self.shapes: Mapping[str, Sequence[Shape]] = {}

    def build(self, recipe: Recipe, user: str) -> list[RequestTemplate]:
        """Return templates of a function for one user; "" stands for no user.

        Raises:
            SetUpFailedError, CannotGenerate: there is no valid data, or no object to refer to.

        """
        method = recipe.method
        someone = user or next(iter(self._profile.users), None)
        if recipe.login:
            return [self.template(recipe, self._resources.valid(method, user))]
        if recipe.spends is not None:
            return self._consuming_templates(recipe, user)
        targets = self._targets(method, someone or "")
        drawn = self._draw(method, someone)
        # Building data once before creates the objects that the data refers to, with texts of their own.
        self._data(method, someone, targets[0], None)
        self._texts.templating = True
        try:
            templates = self._templates(recipe, someone, targets, drawn)
        finally:
            self._texts.templating = False
        if method.beyond_schema and method.effect == "read":
            templates = self._accepted(method, templates, someone)
        random.Random(f"{self._seed}/{method.name}/{user}").shuffle(templates)
        return templates

    def _targets(self, method: Method, user: str) -> list[Resource | None]:
        """Return the objects that a function acts on; [None] where it does not act on one.

        Raises:
            SetUpFailedError: it has to act on one, and there is none.

        """
        role = method.object
        if role is None or role.does not in ("read", "update"):
            return [None]
        param = method.param(role.id)
        targets: list[Resource | None] = [None]
        try:
            targets = list(self._stock.objects(role.kind, user))
            if method.effect != "read":
                # Objects that the run did not create are only read.
                targets = [each for each in targets if each and each.made] or [
                    self._stock.own(role.kind, user)
                ]
        except SetUpFailedError:
            if param is not None and param.required:
                raise
        return targets

    def _templates(
        self,
        recipe: Recipe,
        user: str | None,
        targets: Sequence[Resource | None],
        drawn: Sequence[Mapping[str, Any]],
    ) -> list[RequestTemplate]:
        method, role = recipe.method, recipe.method.object
        templates: list[RequestTemplate] = []
        if shapes := self.shapes.get(method.name):
            return self._templates_as_seen(recipe, user, targets, shapes)
        for number in range(_TEMPLATES):
            resource = targets[number % len(targets)]
            # Every other call has required arguments only, since most clients give few.
            plain = not (role is not None and role.does in ("create", "update")) and number % 2 == 0
            data = self._data(
                method, user, resource, None if plain or not drawn else drawn[number % len(drawn)]
            )
            page = _PAGE_LENGTHS[number % len(_PAGE_LENGTHS)] if method.rows is not None else None
            if self._resources.ownership.data(method, data) is not None:
                self._resources.ownership.count(method.name)
                data = self._data(method, user, resource, None)
            templates.append(self.template(recipe, data, page))
            if not method.params and page is None:
                break
        return templates

    def _templates_as_seen(
        self, recipe: Recipe, user: str | None, targets: Sequence[Resource | None], shapes: Sequence[Shape]
    ) -> list[RequestTemplate]:
        """Return a template for each shape of a call that was seen, with data of the run's own."""
        method = recipe.method
        templates: list[RequestTemplate] = []
        # Each object that the function acts on has a turn, and each shape as many templates as another.
        for number in range(len(shapes) * max(1, -(-_TEMPLATES // len(shapes)))):
            resource, shape = targets[number % len(targets)], shapes[number % len(shapes)]
            plain = self._data(method, user, resource, None)
            data = data_as_seen(method, self._resources, user, plain, shape, _NUMBER)
            if self._resources.ownership.data(method, data) is not None:
                self._resources.ownership.count(method.name)
                data = plain
            templates.append(self.template(recipe, data, shape.page if method.rows is not None else None))
            if not method.params and len({each.page for each in shapes}) == 1:
                break
        return templates

    def _draw(self, method: Method, user: str | None) -> list[dict[str, Any]]:
        """Draw data from the payload strategies: usual values, in every shape that the schema allows."""
        key = (method.name, user)
        if not method.params or key in self._drawn_data:
            return self._drawn_data.get(key, [])

        def refs(kind: str) -> SearchStrategy[Any]:
            if user is None:
                raise SetUpFailedError(f"nobody to find a {kind} for")
            count = len(self._stock.objects(kind, user))
            return st.sampled_from([_Symbol(kind, place) for place in range(count)])

        def bind(value: Any) -> Any:
            return self._bound(value, user or "")

        seed = random.Random(f"{self._seed}/{self._index}/{method.name}/{user}").getrandbits(32)
        try:
            strategy = payloads.valid(method, refs, bind=bind, unusual=False)
            values = payloads.draw(strategy, seed, 2 * _TEMPLATES)
        except (CannotGenerate, SetUpFailedError):
            values = []  # plain samples leave out what cannot be generated
        good: list[dict[str, Any]] = []
        for value in values:
            if not isinstance(value, dict) or payloads.unusual_features(value):
                continue
            fit = {name: item for name, item in value.items() if not self._resources.locks_out(method, name)}
            if len(payloads.encode(fit)) <= _MAX_BODY_BYTES:
                good.append(fit)
        self._drawn_data[key] = good
        return good

    def _bound(self, value: Any, user: str) -> Any:
        """Return drawn data with the identifiers of the user's objects in place of symbols."""
        if isinstance(value, _Symbol):
            objects = self._stock.objects(value.kind, user)
            return objects[value.place % len(objects)].id
        if isinstance(value, dict):
            return {name: self._bound(item, user) for name, item in value.items()}
        return [self._bound(item, user) for item in value] if isinstance(value, list) else value

    def _data(
        self, method: Method, user: str | None, resource: Resource | None, drawn: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """Return valid data that refers to this object, with the run's tag in required free text."""
        fixed: dict[str, Any] = {}
        if method.object is not None and method.object.does in ("read", "update"):
            fixed = self._resources.acting_on(method, resource) if resource else {method.object.id: OMIT}
        plain = self._resources.valid(method, user, optional="none", **fixed)
        given = {name: value for name, value in fixed.items() if value is not OMIT}
        omitted = {name for name, value in fixed.items() if value is OMIT}
        if drawn is None:
            return plain
        tagged = {
            name: value
            for name, value in plain.items()
            if name not in drawn or (isinstance(value, str) and _NUMBER in value)
        }
        bound = self._bound(dict(drawn), user or "")
        whole = {name: value for name, value in {**bound, **tagged, **given}.items() if name not in omitted}
        return whole if method.data.valid(whole) else plain

    def template(self, recipe: Recipe, data: Any, page_length: int | None = None) -> RequestTemplate:
        """Return a template with this data.

        Raises:
            SetUpFailedError: the data refers to an object that the run must not touch.

        """
        method = recipe.method
        if (why := self._resources.ownership.data(method, data)) is not None:
            self._resources.ownership.count(method.name)
            raise SetUpFailedError(f"{method.name} is not called: {why}")
        paging: dict[str, Any] = {} if page_length is None else {"page_start": 0, "page_length": page_length}
        body = self._caller.body(method.name, data, **paging)
        parents: dict[str, Any] = {}
        if method.object is not None and method.object.does == "create":
            names = [param.name for param in method.params if param.required and param.ref]
            parents = {name: data[name] for name in names if name in data}
        mark = _NUMBER.encode()
        return RequestTemplate(recipe.head, body, parents, mark if mark in body else b"")

    def _consuming_templates(self, recipe: Recipe, user: str) -> list[RequestTemplate]:
        """Check that a call that consumes an object can be made, and prepare objects for it."""
        assert recipe.spends is not None
        kind, argument = recipe.spends
        spare = self._stock.fill_spares(kind, user)
        fixed = {argument: spare.id}
        if recipe.method.object is not None and recipe.method.object.does == "delete":
            fixed = self._resources.acting_on(recipe.method, spare)
        data = self._resources.valid(recipe.method, user, optional="none", **fixed)
        return [RequestTemplate(recipe.head, b"", data)]

    def _accepted(
        self, method: Method, templates: list[RequestTemplate], user: str | None
    ) -> list[RequestTemplate]:
        """Return the templates that the target does not refuse by a rule beyond the schema, where there are any."""
        asked = {template.body(self._texts.numbers): template for template in templates[:8]}
        token = self._sessions.of(user).token if user and method.auth != "none" else None
        good = [
            template
            for body, template in asked.items()
            if self._caller.call(method, body=body, user=user, token=token).status == 200
        ]
        return good or templates
