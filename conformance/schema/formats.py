"""The formats of the dialect: strict for data that is sent, lenient for results."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

import jsonschema
import jsonschema_rs
from jsonschema.exceptions import FormatError

__all__ = ["LENIENT_FORMATS", "STRICT_FORMATS", "FormatChecker"]

_PLAIN_EMAIL = re.compile(
    r"[A-Za-z0-9_+-]+(\.[A-Za-z0-9_+-]+)*@[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)+"
)
_LOOSE_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`\x00-\x20]*")
_LOOSE_HOST = re.compile(
    r"(?=.{1,254}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})?)*\.?"
)


def _plain_email(text: str) -> bool:
    local, _, domain = text.rpartition("@")
    labels = domain.split(".")
    return (
        bool(_PLAIN_EMAIL.fullmatch(text))
        and len(local) <= 64
        and len(domain) <= 253
        and max(map(len, labels)) <= 63
    )


@lru_cache(maxsize=64)
def _common_validator(name: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({"format": name}, validate_formats=True)


def _loose_email(text: str) -> bool:
    return "@" in text


def _loose_uri(text: str) -> bool:
    return bool(_LOOSE_URI.fullmatch(text)) or _common_validator("uri").is_valid(text)


def _loose_host(text: str) -> bool:
    return bool(_LOOSE_HOST.fullmatch(text)) or _common_validator("hostname").is_valid(text)


STRICT_FORMATS: dict[str, Callable[[str], bool]] = {"email": _plain_email}
LENIENT_FORMATS: dict[str, Callable[[str], bool]] = {
    "email": _loose_email,
    "idn-email": _loose_email,
    "uri": _loose_uri,
    "iri": _loose_uri,
    "hostname": _loose_host,
    "idn-hostname": _loose_host,
}


class FormatChecker(jsonschema.FormatChecker):
    """The formats for the exact validator: each is checked by the fast one; invalid Unicode matches no known format."""

    def __init__(self, own: Mapping[str, Callable[[str], bool]]) -> None:
        super().__init__(formats=())
        self._checks = own

    def check(self, instance: object, format: str) -> None:
        """Raise FormatError if a text does not match a format."""
        if isinstance(instance, str) and not self._holds(instance, format):
            raise FormatError(f"{instance!r} is not a {format!r}")

    def _holds(self, text: str, name: str) -> bool:
        try:
            return (
                self._checks[name](text)
                if name in self._checks
                else bool(_common_validator(name).is_valid(text))
            )
        except UnicodeEncodeError:
            return not _is_known_format(name)


@lru_cache(maxsize=64)
def _is_known_format(name: str) -> bool:
    return not _common_validator(name).is_valid("\x00 ")
