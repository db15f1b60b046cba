"""A call of the load and its response as an exchange, which the rules and the report read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from conformance.protocol.exchange import Exchange, Failure, Request, Response
from conformance.protocol.redaction import SecretRegistry
from conformance.protocol.wire import Address

__all__ = ["Answered", "Called", "Heading", "Replied", "Signed", "exchange_of"]

#: The largest request whose form is not in question, in bytes.
_MAX_ORDINARY_HEAD_BYTES = 8 * 1024
_MAX_ORDINARY_BODY_BYTES = 1024 * 1024


class Signed(Protocol):
    """Whose session a call is in."""

    @property
    def user(self) -> str | None:
        """The profile's name of the user."""


class Called(Protocol):
    """A call, as far as a validator needs it."""

    @property
    def function(self) -> str:
        """The name of the function, with the entity."""

    @property
    def index(self) -> int:
        """The index of the function in the list of the run."""

    @property
    def raw(self) -> bytes:
        """The whole request."""

    @property
    def virtual_user(self) -> Signed | None:
        """Whose session the call is in; None for no session."""

    @property
    def expects(self) -> frozenset[int] | None:
        """The expected statuses; None for 200."""


class Heading(Protocol):
    """The head of a response, with room for verdicts about it."""

    @property
    def raw(self) -> bytes:
        """The bytes of the head."""

    @property
    def status(self) -> int:
        """The status."""

    @property
    def version(self) -> str:
        """The version of HTTP, such as 1.1."""

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        """The headers, in their order."""

    @property
    def verdicts(self) -> dict[Any, Any]:
        """Room for verdicts about the head."""


class Answered(Protocol):
    """The outcome of a call, as far as a report shows it."""

    @property
    def failure(self) -> str | None:
        """The kind of the failure; None where there is a response."""

    @property
    def detail(self) -> str:
        """Details of the failure."""

    @property
    def body(self) -> bytes:
        """The body, decoded."""


class Replied(Answered, Protocol):
    """The outcome of a call, as far as a validator needs it."""

    @property
    def sent(self) -> float:
        """When the request was sent."""

    @property
    def done_at(self) -> float:
        """When the response was complete."""

    @property
    def opened(self) -> bool:
        """Whether a connection was opened for the request."""

    @property
    def answer(self) -> Heading:
        """The head of the response."""

    @property
    def met(self) -> bool:
        """Whether a byte of a response arrived."""


def exchange_of(
    call: Called,
    reply: Answered,
    head: Heading | None,
    address: Address,
    secret_registry: SecretRegistry,
    **more: Any,
) -> Exchange:
    """Return a call and its response as an exchange, which masks its secrets.

    `head` is the head of the response, None where there is none; `more` are further members of the exchange.
    """
    virtual_user = call.virtual_user
    start, _, body = call.raw.partition(b"\r\n\r\n")
    first, *lines = start.decode("latin-1").split("\r\n")
    verb, _, rest = first.partition(" ")
    path = rest.partition(" ")[0]
    headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
    ordinary = len(start) + 2 <= _MAX_ORDINARY_HEAD_BYTES and len(body) <= _MAX_ORDINARY_BODY_BYTES
    response = failure = None
    if head is None:
        failure = Failure(reply.failure or "", reply.detail)
    else:
        response = Response(
            head.status, tuple(head.headers), reply.body, head.raw + reply.body, f"HTTP/{head.version}"
        )
    return Exchange(
        Request(
            verb,
            f"{address.scheme}://{address.authority}{path}",
            headers,
            body,
            call.raw,
            well_formed=ordinary,
        ),
        response,
        failure,
        **{
            "function": call.function,
            "user": None if virtual_user is None else virtual_user.user,
            "in_session": virtual_user is not None,
            "secret_registry": secret_registry,
            **more,
        },
    )
