"""The ledger of a run: the objects that its calls created, deleted or showed to exist."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from conformance.catalog.model import Method
from conformance.events import LeftoverEvent, NoteEvent
from conformance.protocol.exchange import Exchange
from conformance.resources.registry import Resource
from conformance.schema.pointer import resolve

if TYPE_CHECKING:
    from conformance.engine.runner import Run

__all__ = ["Ledger"]


class Ledger:
    """Learns from every exchange which objects there are."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def observe(self, exchange: Exchange) -> None:
        """Note what a call did to objects."""
        method = self._run.catalog.methods.get(exchange.function or "")
        if method is not None and method.object is not None and exchange.succeeded:
            self._note_change(exchange, method)
            self._note_identifiers(exchange, method)
        elif method is not None and exchange.failure is not None:
            # Without an answer it is not known whether the call created anything.
            self._run.clean_up.created(exchange, method, identified=False)

    def _note_change(self, exchange: Exchange, method: Method) -> None:
        """Note an object that a call created or deleted, whatever the call was sent for."""
        assert method.object is not None
        run = self._run
        if method.object.does == "create":
            sent = _sent_data(exchange)
            resource = run.resources.learn(exchange, method, sent, exchange.user)
            message = run.clean_up.created(exchange, method, identified=resource is not None)
            if message is not None:
                run.emit(NoteEvent(run.secret_registry.mask(message)))
            if resource is not None:
                run.recorder.created(exchange, method, resource.id, resource.user, sent)
        elif method.object.does == "delete":
            kind, sent = method.object.kind, _sent_data(exchange)
            gone = [sent[method.object.id]] if isinstance(sent, dict) and method.object.id in sent else []
            if sent is None:
                # The target accepted a body that cannot be read here: any object that it names may be gone.
                named = {resource.id for resource in run.resources.owned() if resource.kind == kind}
                gone = [name for name in named if json.dumps(name).encode() in exchange.request.body]
            for identifier in gone:
                run.resources.forget(kind, identifier)
                run.recorder.deleted(exchange, kind, identifier)

    def _note_identifiers(self, exchange: Exchange, method: Method) -> None:
        """Note which identifiers a list or a read shows to exist."""
        assert method.object is not None
        kind, ownership = method.object.kind, self._run.ownership
        if method.object.does == "list":
            for row in self._run.resources.rows(method, exchange):
                ownership.seen(kind, resolve(row, method.object.id))
        elif method.object.does == "read":
            sent = _sent_data(exchange)
            if isinstance(sent, dict):
                ownership.seen(kind, sent.get(method.object.id))

    def leftover(self, resource: Resource, why: str) -> None:
        """Report an object that stays on the target."""
        reason = self._run.secret_registry.mask(why)
        self._run.emit(LeftoverEvent(resource.kind, str(resource.id), reason=reason))


def _sent_data(exchange: Exchange) -> Any:
    """Return the data that a call was sent with; None where there is none, or none that can be read."""
    try:
        body = json.loads(exchange.request.body)
    except (ValueError, RecursionError):
        return None
    return body.get("data") if isinstance(body, dict) else None
