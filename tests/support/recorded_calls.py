"""Recorded calls for tests: a small shop, as clients of it call it."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from typing import Any

from conformance.learning.calls import Call

WORDS = [
    "amber",
    "basil",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "heath",
    "inlet",
    "jetty",
    "knoll",
    "ledge",
]


class Shop:
    """A service in memory that answers calls and records them."""

    def __init__(self, seed: int = 1) -> None:
        self.random = random.Random(seed)
        self.calls: list[Call] = []
        self.items: dict[int, dict[str, Any]] = {}
        self.boxes: dict[str, dict[str, Any]] = {}
        self.next = self.random.randint(1, 40)

    def call(self, function: str, arguments: dict[str, Any] | None = None, **more: Any) -> Any:
        """Make a call; return its data, or None if it is refused."""
        given = dict(arguments or {})
        session = more.pop("session", "session 1")
        status, data = self._answer(function, given, session, more)
        user = more.pop("user", None)
        self.calls.append(
            Call(
                function,
                given,
                status,
                status == 200,
                data,
                status == 200,
                session,
                user,
                label=f"call {len(self.calls) + 1}",
                **more,
            )
        )
        return data

    def _answer(
        self, function: str, given: dict[str, Any], session: str | None, more: dict[str, Any]
    ) -> tuple[int, Any]:
        if function == "gate.enter":
            return 200, {"sessionId": "***", "user": {"name": given["name"]}}
        if session is None and function != "item.words":
            return 401, None
        handler: Callable[[dict[str, Any], dict[str, Any]], tuple[int, Any]] = getattr(
            self, f"_{function.replace('.', '_')}"
        )
        return handler(given, more)

    def _item_words(self, given: dict[str, Any], more: dict[str, Any]) -> tuple[int, Any]:
        return 200, WORDS[: more.get("page_length") or len(WORDS)]

    def _item_add(self, given: dict[str, Any], more: dict[str, Any]) -> tuple[int, Any]:
        if not isinstance(given.get("title"), str):
            return 400, None
        if not isinstance(given.get("seats", 1), int):
            return 400, None
        self.next += self.random.randint(1, 3)
        item = {
            "itemId": self.next,
            "title": given["title"],
            "state": given.get("state", "draft"),
            "price": given.get("price", 0),
            "note": given.get("note"),
            "labels": given.get("labels", {}),
            "createdAt": f"2026-11-0{self.random.randint(1, 9)}T10:{self.random.randint(10, 59)}:00Z",
        }
        self.items[self.next] = item
        return 200, item

    def _item_read(self, given: dict[str, Any], more: dict[str, Any]) -> tuple[int, Any]:
        item = self.items.get(given.get("itemId", -1))
        return (404, None) if item is None else (200, item)

    def _item_change(self, given: dict[str, Any], more: dict[str, Any]) -> tuple[int, Any]:
        item = self.items.get(given.get("itemId", -1))
        if item is None:
            return 404, None
        item.update({name: value for name, value in given.items() if name in item})
        return 200, item

    def _item_remove(self, given: dict[str, Any], more: dict[str, Any]) -> tuple[int, Any]:
        if self.items.pop(given.get("itemId", -1), None) is None:
            return 404, None
        return 200, {}

    def _item_find(self, given: dict[str, Any], more: dict[str, Any]) -> tuple[int, Any]:
        found = list(self.items.values())
        return 200, {"items": found[: more.get("page_length") or len(found)], "total": len(found)}

    def _box_add(self, given: dict[str, Any], more: dict[str, Any]) -> tuple[int, Any]:
        box = {"boxId": str(uuid.UUID(int=self.random.getrandbits(128), version=4)), **given}
        self.boxes[box["boxId"]] = box
        return 200, {"box": box}

    def _box_get(self, given: dict[str, Any], more: dict[str, Any]) -> tuple[int, Any]:
        box = self.boxes.get(given.get("boxId", ""))
        return (404, None) if box is None else (200, {"box": box})

    def _box_find(self, given: dict[str, Any], more: dict[str, Any]) -> tuple[int, Any]:
        return 200, {"boxes": list(self.boxes.values())}

    def _gate_stats(self, given: dict[str, Any], more: dict[str, Any]) -> tuple[int, Any]:
        return (200, {"items": len(self.items)}) if more.get("user") == "root" else (403, None)

    def use(self, rounds: int = 25) -> None:
        """Make the calls of some clients."""
        pick = self.random
        for _ in range(2):
            self.call("gate.enter", {"name": "ann", "password": "***"}, session=None)
        for _ in range(rounds):
            given: dict[str, Any] = {"title": " ".join(pick.sample(WORDS, pick.randint(1, 3)))}
            if pick.random() < 0.7:
                given["state"] = pick.choice(["draft", "open", "closed"])
            if pick.random() < 0.5:
                given["price"] = pick.randint(0, 400) / 4
            if pick.random() < 0.5:
                given["note"] = pick.choice([None, "fragile", "for the fair in May"])
            if pick.random() < 0.4:
                given["seats"] = pick.randint(1, 90)
            if pick.random() < 0.5:
                given["labels"] = {f"{word} {pick.randint(1, 9)}": word for word in pick.sample(WORDS, 2)}
            item = self.call("item.add", given)
            self.call("item.find", {})
            self.call("item.find", {}, page_length=pick.randint(1, 3))
            self.call("item.read", {"itemId": item["itemId"]})
            self.call("item.change", {"itemId": item["itemId"], "title": pick.choice(WORDS)})
            box = self.call("box.add", {"lines": [{"itemId": item["itemId"], "count": pick.randint(1, 99)}]})
            self.call("box.get", {"boxId": box["box"]["boxId"]})
            self.call("box.find")
            if pick.random() < 0.6:
                self.call("item.remove", {"itemId": item["itemId"]})
                self.call("item.read", {"itemId": item["itemId"]})
        for _ in range(3):
            self.call("item.words", session=None)
            self.call("item.add", {"state": "draft"})
            self.call("item.add", {"title": None})
            self.call("item.add", {"title": "amber", "seats": 1.5})
            self.call("item.find", session=None)
            self.call("gate.stats", user="root")
            self.call("gate.stats", user="ann", session="session 2")


def calls_of_a_shop(seed: int = 1, rounds: int = 25) -> list[Call]:
    """Return the calls that clients of a shop made."""
    shop = Shop(seed)
    shop.use(rounds)
    return shop.calls
