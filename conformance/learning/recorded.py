"""Recorded exchanges as calls to learn from, without the secrets that they carry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from conformance.learning.calls import (
    Call,
    Json,
    NotACallError,
    arguments_of,
    data_of,
    is_secret_name,
    page_of,
)
from conformance.protocol.redaction import MASK
from conformance.traffic.recorded import Gap, Recorded, entity_of

__all__ = ["calls_of", "without_secrets"]

#: The session of calls whose token the record hides, where it does not name the user either.
_SOME_SESSION = "a session"
_MIN_TOKEN_CHARACTERS = 6


def calls_of(exchanges: Sequence[Recorded], base_url: str, first: int = 1) -> tuple[list[Call], Counter[str]]:
    """Return the calls among recorded exchanges, and why others teach nothing, with how many those are.

    Tokens, and the values of members with the names of secrets, are masked. Sessions are numbered from `first` on.
    """
    tokens: dict[str, str] = {}
    for recorded in exchanges:
        token = recorded.token
        if token is not None:
            tokens.setdefault(token, f"session {len(tokens) + first}")
    secrets = frozenset(token for token in tokens if len(token) >= _MIN_TOKEN_CHARACTERS)
    calls: list[Call] = []
    left: Counter[str] = Counter()
    for recorded in exchanges:
        try:
            calls.append(_call(recorded, base_url, tokens, secrets))
        except NotACallError as error:
            left[str(error)] += 1
    return calls, left


def _call(recorded: Recorded, base_url: str, tokens: dict[str, str], secrets: frozenset[str]) -> Call:
    request, response = recorded.request, recorded.exchange.response
    if response is None:
        raise NotACallError("there was no answer")
    if request.verb != "POST":
        raise NotACallError("the verb is not POST")
    if {Gap.REQUEST_BODY, Gap.RESPONSE_BODY} & recorded.gaps and response.status == 200:
        raise NotACallError("the record has not the whole of its bodies")
    method, arguments, others = arguments_of(request.body)
    entity = entity_of(request.url, base_url) or ""
    entity = entity.partition("?")[0].strip("/")
    if not entity or "/" in entity or "%" in entity:
        raise NotACallError("the path is that of no endpoint")
    try:
        succeeded, result = data_of(response.body)
        has_result = True
    except NotACallError:
        if response.status == 200:
            raise
        succeeded, result, has_result = False, None, False
    start, length, invalid_page, has_more = page_of(others)
    session = None
    if recorded.has_token:
        session = tokens.get(recorded.token or "") or recorded.exchange.user or _SOME_SESSION
    cleaned = without_secrets(result, secrets)
    return Call(
        function=f"{entity}.{method}",
        arguments=without_secrets(arguments, secrets),
        status=response.status,
        succeeded=succeeded and response.status == 200,
        result=cleaned,
        has_result=has_result,
        session=session,
        user=recorded.exchange.user if session is not None else None,
        page_start=start,
        page_length=length,
        invalid_page=invalid_page,
        label=f"call {recorded.exchange.number}",
        gives_token=bool(secrets) and any(secret.encode() in response.body for secret in secrets),
        is_ordinary=not invalid_page and not has_more,
    )


def without_secrets(value: Json, secrets: frozenset[str], name: str = "") -> Json:
    """Return a value with its secrets masked, at any depth; types remain."""
    if isinstance(value, dict):
        return {key: without_secrets(item, secrets, key) for key, item in value.items()}
    if isinstance(value, list):
        return [without_secrets(item, secrets, name) for item in value]
    if isinstance(value, str) and value and (value in secrets or is_secret_name(name)):
        return MASK
    return value
