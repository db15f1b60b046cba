"""Functions of the lending library for books, shelves, loans and remarks."""

from __future__ import annotations

import copy
import secrets
import time
from typing import Any

from tests.servers.library_model import (
    Call,
    Item,
    Refused,
    injected,
    now,
)
from tests.servers.library_readers import Readers


class Stock(Readers):
    """Books, shelves, loans and remarks."""

    def do_book_create(self, call: Call) -> Any:
        """Enter a book."""
        self._refer(call, call.data.get("shelfId"))
        owner = self._owner(call)
        ident = "b-" + secrets.token_hex(6)
        values: dict[str, Any] = {"bookId": ident}
        for name, declared in self.specs["book.create"]["properties"].items():
            values[name] = copy.deepcopy(call.data.get(name, declared.get("default")))
        values["copies"] = int(values["copies"])
        if self.bug("book-values-lost-on-create") and call.data.get("note"):
            values["tags"] = []
        values.update(revision=1, changedAt=now())
        if self.bug("concurrent-creates-lost"):
            snapshot = dict(self.books)
            time.sleep(0.004)
            snapshot[ident] = Item(owner, values)
            self.books = snapshot
        else:
            self.books[ident] = Item(owner, values)
        return {"book": copy.deepcopy(values)}

    def do_book_get(self, call: Call) -> Any:
        """One book."""
        ident = call.data["bookId"]
        if ident not in self.books:
            if self.bug("unknown-book-is-null"):
                return {"book": None}
            if self.bug("destroyed-book-readable") and f"book:{ident}" in self.gone:
                return {"book": copy.deepcopy(self.attic[ident])}
        item = self._own(call, "book", ident)
        if self.bug("reading-changes"):
            item.values["copies"] = min(999, item.values["copies"] + 1)
        book = copy.deepcopy(item.values)
        if self.bug("copies-as-text"):
            book["copies"] = str(book["copies"])
        if self.bug("null-member-left-out") and book["keeper"] is None:
            del book["keeper"]
        if self.bug("change-cached") and item.changes > 1:
            book["note"] = self.attic.get(ident, book)["note"]
        return {"book": book}

    def do_book_change(self, call: Call) -> Any:
        """Change what is given of a book."""
        ident = call.data["bookId"]
        item = self._own(call, "book", ident)
        self._refer(call, call.data.get("shelfId"))
        given = {name: copy.deepcopy(value) for name, value in call.data.items() if name != "bookId"}
        item.changes += 1
        if self.bug("change-cached"):
            self.attic.setdefault(ident, copy.deepcopy(item.values))
        if self.bug("change-touches-second") and "title" in given and "copies" not in given:
            item.values["copies"] = 1
        if self.bug("change-resets-missing") and "price" not in given:
            item.values["price"] = 0
        if self.bug("change-to-null-ignored"):
            given = {name: value for name, value in given.items() if value is not None}
        if self.bug("change-to-empty-ignored"):
            given = {name: value for name, value in given.items() if value not in ("", 0, [])}
        if self.bug("change-labels-merged") and "labels" in given:
            given["labels"] = {**item.values["labels"], **given["labels"]}
        if not self.bug("change-says-but-keeps-not") or "tags" not in given:
            item.values.update(given)
            given = {}
        item.values.update(revision=item.values["revision"] + 1, changedAt=now())
        return {"book": copy.deepcopy({**item.values, **given})}

    def do_book_destroy(self, call: Call) -> Any:
        """Remove a book."""
        ident = call.data["bookId"]
        if self.bug("destroy-again-succeeds") and f"book:{ident}" in self.gone:
            return {"gone": True}
        item = self._own(call, "book", ident)
        del self.books[ident]
        self.gone.add(f"book:{ident}")
        for number, remark in list(self.remarks.items()):
            if remark.values["bookId"] == ident:
                del self.remarks[number]
        if self.bug("destroyed-book-readable"):
            self.attic[ident] = item.values
        if self.bug("destroy-takes-another"):
            mine = [key for key, other in self.books.items() if other.owner is call.user]
            if len(mine) > 2:
                del self.books[mine[-1]]
        return {"gone": True}

    def do_book_list(self, call: Call) -> Any:
        """One's own books."""
        books = self._mine(call, self.books)
        part, language = call.data.get("titleContains"), call.data.get("language")
        if self.bug("filter-shows-others") and part is not None:
            books = [item.values for item in list(self.books.values())]
        if self.bug("paging-shows-others") and call.paged:
            books = [item.values for item in list(self.books.values())]
        if self.bug("second-book-not-listed"):
            books = books[:1] + books[2:]
        if part is not None and not (self.bug("filter-sql") and (injected(part) or part == "%")):
            books = [book for book in books if part in book["title"]]
        if language is not None:
            books = [book for book in books if book["language"] == language]
        return [{key: book[key] for key in ("bookId", "title", "language")} for book in books]

    def do_shelf_create(self, call: Call) -> Any:
        """Put up a shelf under the lowest free number."""
        owner = self._owner(call)
        number = 1
        while number in self.shelves:
            number += 1
        if self.bug("concurrent-creates-one-id"):
            time.sleep(0.004)
        values = {"shelfId": number, "label": "", "floor": 0, "open": True, "fee": 0}
        values.update({name: value for name, value in call.data.items() if value is not None})
        if isinstance(values["floor"], str):
            values["floor"] = int(values["floor"])
        if self.bug("false-becomes-default") and not values["open"]:
            values["open"] = True
        self.shelves[number] = Item(owner, values)
        return dict(values)

    def do_shelf_get(self, call: Call) -> Any:
        """One shelf."""
        values = dict(self._own(call, "shelf", call.data["shelfId"]).values)
        if self.bug("pascal-member"):
            values["ShelfCode"] = f"S{values['shelfId']}"
        return values

    def do_shelf_change(self, call: Call) -> Any:
        """Change what is given of a shelf."""
        item = self._own(call, "shelf", call.data["shelfId"])
        given = dict(call.data)
        if "shelf_label" in given:
            given["label"] = given.pop("shelf_label")
        item.changes += 1
        if self.bug("third-change-lost") and item.changes >= 3:
            return {**item.values, **given}
        item.values.update(given)
        return dict(item.values)

    def do_shelf_relabel(self, call: Call) -> Any:
        """Give a shelf another label."""
        item = self._own(call, "shelf", call.data["shelfId"])
        if not self.bug("relabel-does-nothing"):
            item.values["label"] = call.data["label"]
        return {**item.values, "label": call.data["label"]}

    def do_shelf_destroy(self, call: Call) -> Any:
        """Take a shelf down."""
        number = call.data["shelfId"]
        self._own(call, "shelf", number)
        if self.bug("destroyed-shelf-listed"):
            self.shelves[number].gone = True
            return {"gone": True}
        del self.shelves[number]
        self.gone.add(f"shelf:{number}")
        return {"gone": True}

    def do_shelf_list(self, call: Call) -> Any:
        """One's own shelves."""
        shelves = [self.shelves[number] for number in sorted(self.shelves)]
        mine = [item.values for item in shelves if item.owner is call.user or self.bug("list-shows-others")]
        if "floor" in call.data:
            mine = [values for values in mine if values["floor"] == call.data["floor"]]
        return [{"shelfId": values["shelfId"], "label": values["label"]} for values in mine]

    def do_loan_create(self, call: Call) -> Any:
        """Lend books."""
        for ident in call.data["bookIds"]:
            self._own(Call("book.get", {}, call.user, None, call.request), "book", ident)
        until = call.data.get("untilDay")
        if until is not None and until < call.data["fromDay"]:
            raise Refused(400, "The last day is before the first.")
        ident = secrets.token_hex(8)
        self.loans[ident] = Item(
            call.caller,
            {
                "loanId": ident,
                "bookIds": call.data["bookIds"],
                "fromDay": call.data["fromDay"],
                "untilDay": until,
                "remark": call.data.get("remark", ""),
                "meta": {"createdAt": now()},
            },
        )
        return {"loanId": ident}

    def do_loan_get(self, call: Call) -> Any:
        """One loan."""
        loan = copy.deepcopy(self._own(call, "loan", call.data["loanId"]).values)
        if self.bug("snake-member-nested"):
            loan["meta"]["entered_by"] = "desk"
        return {"loan": loan}

    def do_loan_destroy(self, call: Call) -> Any:
        """Forget a loan."""
        ident = call.data["loanId"]
        self._own(call, "loan", ident)
        del self.loans[ident]
        self.gone.add(f"loan:{ident}")
        return {"gone": True}

    def do_loan_list(self, call: Call) -> Any:
        """The identifiers of one's own loans."""
        return [values["loanId"] for values in self._mine(call, self.loans)]

    def _compared(self, call: Call) -> None:
        """See that the books which a remark compares are the caller's."""
        for place in call.data.get("compared", []):
            self._own(Call("book.get", {}, call.user, None, call.request), "book", place["bookId"])

    def do_remark_create(self, call: Call) -> Any:
        """Write a remark on a book."""
        self._own(Call("book.get", {}, call.user, None, call.request), "book", call.data["bookId"])
        self._compared(call)
        self.last_remark += 1
        values: dict[str, Any] = {"remarkNo": self.last_remark, "bookId": call.data["bookId"]}
        for name in ("text", "compared", "pages", "glossary"):
            default = self.specs["remark.create"]["properties"][name]["default"]
            values[name] = copy.deepcopy(call.data.get(name, default))
        self.remarks[self.last_remark] = Item(call.caller, values)
        return copy.deepcopy(values)

    def do_remark_change(self, call: Call) -> Any:
        """Change what is given of a remark."""
        item = self._own(call, "remark", call.data["remarkNo"])
        self._compared(call)
        given = {name: copy.deepcopy(value) for name, value in call.data.items() if name != "remarkNo"}
        if self.bug("remark-change-lost"):
            return {**copy.deepcopy(item.values), **given}
        item.values.update(given)
        return copy.deepcopy(item.values)

    def do_remark_destroy(self, call: Call) -> Any:
        """Wipe a remark out."""
        number = call.data["remarkNo"]
        self._own(call, "remark", number)
        del self.remarks[number]
        self.gone.add(f"remark:{number}")
        return {"gone": True}

    def do_remark_list(self, call: Call) -> Any:
        """The remarks on a book."""
        self._own(Call("book.get", {}, call.user, None, call.request), "book", call.data["bookId"])
        mine = self._mine(call, self.remarks)
        return [copy.deepcopy(values) for values in mine if values["bookId"] == call.data["bookId"]]
