"""The library's defects, and the rules that a judge must report for each.

A defect may break more rules than it names; those named are the ones that no judge may miss.
"""

from __future__ import annotations

DEFECTS: dict[str, tuple[str, ...]] = {
    # HTTP
    "function-missing": ("HTTP-1",),  # book.change is published and unknown
    "get-runs-query": ("HTTP-2",),  # GET ?method=…&data=… runs the function
    "put-runs-body": ("HTTP-2",),
    "delete-verb-runs-unseen": ("HTTP-2",),  # DELETE is refused with 405, and its body runs all the same
    "other-verb-says-success": ("HTTP-2",),  # PATCH: 405 with a success envelope
    "other-verb-plain-text": ("HTTP-3", "HTTP-4", "HTTP-5"),
    "byte-order-mark": ("HTTP-4",),  # before the answer of desk.hours
    "notice-after-json": ("HTTP-4",),  # after the answer of book.list
    "nan-in-result": ("HTTP-4",),  # in loan.get
    "duplicate-member-on-403": ("HTTP-4",),
    "latin-1-result": ("HTTP-4",),  # session.whoAmI of a user whose name is not ASCII
    "html-type-on-404": ("HTTP-5",),
    "form-type-refused": ("HTTP-6",),
    "missing-type-refused": ("HTTP-6",),
    "chunked-read-as-empty": ("HTTP-7",),
    "token-header-case": ("HTTP-8",),
    # REQ
    "number-as-method": ("REQ-1",),  # 404 for "method": 5
    "missing-data-refused": ("REQ-2",),
    "null-data-refused": ("REQ-2",),
    "page-length-needs-start": ("REQ-3",),
    "bad-utf-8-replaced": ("REQ-4",),
    "second-text-ignored": ("REQ-4",),
    "single-quotes-read": ("REQ-4",),
    "trailing-comma-read": ("REQ-4",),
    "batch-accepted": ("REQ-5",),  # the first of an array of calls runs
    "scalar-body-404": ("REQ-5",),
    "empty-array-as-data": ("REQ-6",),  # [] and "" are taken for {}
    "number-as-data": ("REQ-6",),
    "missing-argument-500": ("REQ-7", "COD-5", "COD-8"),
    "null-for-required": ("REQ-7",),  # the label of a new shelf
    "bool-as-int": ("REQ-8",),  # the copies of a new book
    "numeric-text-as-number": ("REQ-8",),  # the floor of a new shelf
    "object-as-pass-phrase": ("REQ-8",),  # any object signs in
    "date-by-shape": ("DAT-2",),  # 2023-02-30 is a day
    "email-unchecked": ("REQ-9",),
    "enum-unchecked-on-change": ("REQ-9",),
    "maximum-off-by-one": ("REQ-9",),
    "minimum-length-ignored": ("REQ-9",),
    "multiple-unchecked": ("REQ-9",),
    "pattern-not-anchored": ("REQ-9",),
    "unknown-member-refused": ("REQ-10",),
    "escapes-not-read": ("REQ-11",),
    "order-of-members-matters": ("REQ-11",),
    # ENV
    "no-data-member-on-401": ("ENV-1",),
    "is-error-number": ("ENV-2",),  # 0 in the success of shelf.get
    "is-error-text": ("ENV-2",),  # "true" on 400
    "message-list": ("ENV-3",),
    "error-not-flagged": ("ENV-4",),  # isError false on 404
    "success-called-error": ("ENV-4",),  # isError true on book.destroy
    "blank-message-on-403": ("ENV-5",),
    "null-message-on-unknown-endpoint": ("ENV-5",),
    "message-on-success": ("ENV-6",),  # session.close
    "empty-list-is-array": ("ENV-7", "ENV-10"),  # book.list without rows
    "partial-data-on-error": ("ENV-8",),
    "debug-member-on-error": ("ENV-9",),
    "extra-member": ("ENV-9",),  # loan.list
    "copies-as-text": ("ENV-10",),  # book.get
    "null-member-left-out": ("ENV-10",),  # book.get of a book without keeper
    # COD
    "created-201": ("COD-1", "COD-2"),
    "validation-422": ("COD-2",),
    "unknown-function-200": ("COD-3", "ENV-4"),
    "unknown-function-400": ("COD-3",),
    "unknown-endpoint-400": ("COD-4",),
    "type-crash": ("COD-5", "COD-8"),  # an object for the label of a new shelf
    "no-session-403-once": ("COD-6", "AUT-4"),  # loan.list
    "no-session-404-once": ("COD-6", "AUT-4"),  # shelf.get
    "role-refusal-401": ("COD-7", "ACC-1"),
    "deep-nesting-crash": ("COD-8",),
    "deep-nesting-dropped": ("COD-8",),  # the connection is closed without an answer
    "undeclared-crash": ("COD-8",),
    "unknown-identifier-crash": ("COD-8",),  # shelf numbers from 2^31 on
    "validation-before-session": ("COD-9",),
    "unknown-book-is-null": ("COD-10",),
    # AUT
    "session-not-text": ("AUT-1",),
    "pass-phrase-first-8": ("AUT-2",),
    "pass-phrase-in-any-case": ("AUT-2",),
    "pass-phrase-prefix": ("AUT-2",),
    "pass-phrase-sql": ("AUT-2",),
    "session-ends-after-20-calls": ("AUT-3",),
    "session-shut-out-of-one-endpoint": ("AUT-3",),  # shelf, after 15 calls
    "session-tied-to-connection": ("AUT-3",),
    "no-session-empty-list": ("AUT-4", "COD-6"),  # book.list
    "one-function-open": ("AUT-4", "COD-6"),  # loan.get
    "token-by-prefix": ("AUT-5",),
    "token-crash-outside-ascii": ("AUT-5", "COD-8"),
    "token-in-any-case": ("AUT-5",),
    "token-length-crash": ("AUT-5", "COD-8"),
    "token-quote-is-anyone": ("AUT-5",),
    "public-needs-session": ("AUT-6",),  # desk.hours
    "public-refuses-with-403": ("AUT-7",),
    "logout-does-nothing": ("AUT-8",),
    "logout-only-here": ("AUT-8",),  # session.whoAmI refuses, all other functions go on
    "one-session-per-user": ("AUT-9",),
    "session-of-the-user": ("AUT-9",),  # a second login gives the first one's session
    "logout-ends-all": ("AUT-10",),
    "session-mix-up": ("AUT-11",),  # under concurrency
    "unknown-user-401": ("AUT-12",),
    "unknown-user-told": ("AUT-12",),
    "token-adopted-by-login": ("AUT-13",),
    "session-32-bits": ("AUT-14",),
    "session-from-clock": ("AUT-14",),
    "session-sequential": ("AUT-14",),
    "token-in-body": ("AUT-15",),
    "token-in-cookie": ("AUT-15",),
    "token-in-query": ("AUT-15",),
    "key-login-first-half": ("AUT-16",),  # half of the signature is compared
    "key-login-headers-dead": ("AUT-16",),
    "key-login-unsigned": ("AUT-16",),  # a value left out, and the key alone signs in
    "key-login-wrong-500": ("AUT-16", "COD-8"),
    # ACC
    "role-refused-to-its-own": ("ACC-1",),  # reader.get
    "role-unchecked-in-list": ("ACC-1",),  # reader.list
    "librarian-destroys-books": ("ACC-2",),  # one role only
    "others-book-readable": ("ACC-2",),
    "others-loan-destroyable": ("ACC-2",),
    "others-shelf-400": ("ACC-2",),  # shelf.get
    "others-shelf-changed-unseen": ("ACC-2",),  # refused, and changed
    "owner-through-data": ("ACC-3",),
    "roles-through-data": ("ACC-3",),  # reader.change
    "filter-shows-others": ("ACC-4",),  # book.list by title
    "list-shows-others": ("ACC-4",),  # shelf.list
    # PAG
    "page-length-plus-one": ("PAG-1",),
    "last-page-short": ("PAG-2",),
    "order-random-when-paged": ("PAG-2",),
    "page-border-twice": ("PAG-2",),
    "page-length-capped-at-20": ("PAG-2",),
    "page-start-ignored-with-filter": ("PAG-2",),
    "page-start-is-page-number": ("PAG-2",),
    "limit-100": ("PAG-3",),
    "limit-25": ("PAG-3",),
    "page-start-alone-ignored": ("PAG-3",),
    "past-end-404": ("PAG-4",),
    "past-end-is-last-page": ("PAG-4",),
    "page-fraction-cut": ("PAG-5",),
    "page-length-negative-is-all": ("PAG-5",),
    "page-start-huge-crash": ("PAG-5", "COD-8"),
    "page-start-in-text": ("PAG-5",),
    "page-start-negative": ("PAG-5",),
    "page-start-true": ("PAG-5",),
    "order-moves": ("PAG-6",),  # shelf.list unpaged
    "page-length-zero-is-all": ("PAG-7",),
    "paging-shows-others": ("PAG-8",),  # book.list
    # NAM
    "pascal-member": ("NAM-1",),  # shelf.get
    "snake-envelope-member": ("NAM-1", "ENV-9"),  # desk.news
    "snake-member-nested": ("NAM-1",),  # deep in loan.get
    "snake-parameter": ("NAM-2",),  # shelf.change
    "snake-function-known": ("NAM-3",),
    # DAT
    "utf-16-lengths": ("DAT-1",),  # 101 to 200 astral characters are too long a title
    "nested-required-ignored": ("DAT-2",),
    "unique-items-ignored": ("DAT-2",),
    "astral-lost": ("DAT-5",),
    "surrogate-crash": ("DAT-5", "COD-8"),
    "text-cut-at-20000": ("DAT-5",),
    "text-cut-at-nul": ("DAT-5",),
    "text-html-escaped": ("DAT-5",),
    "text-normalised": ("DAT-5",),
    "text-trimmed": ("DAT-5",),
    "large-integer-rounded": ("DAT-6",),
    "refused-change-half-done": ("DAT-7",),
    "filter-sql": ("DAT-8",),  # ' or … and % list everything
    "many-members-slow": ("DAT-9",),
    # STA
    "book-values-lost-on-create": ("STA-1",),  # tags, when there is a note
    "false-becomes-default": ("STA-1",),
    "second-book-not-listed": ("STA-1",),
    "change-labels-merged": ("STA-2",),
    "change-resets-missing": ("STA-2",),  # the price, when it is not given
    "change-says-but-keeps-not": ("STA-2",),  # tags
    "change-to-empty-ignored": ("STA-2",),
    "change-to-null-ignored": ("STA-2",),
    "relabel-does-nothing": ("STA-2",),  # a second function that changes a shelf
    "remark-change-lost": ("STA-2",),  # a kind that is listed, and never read alone
    "change-touches-second": ("STA-2",),  # the copies, when the title is given
    "destroy-again-succeeds": ("STA-3",),
    "destroyed-book-readable": ("STA-3",),
    "destroyed-shelf-listed": ("STA-3",),
    "reading-changes": ("STA-4",),
    "concurrent-creates-lost": ("STA-5",),  # books
    "concurrent-creates-one-id": ("STA-5",),  # shelves
    "change-cached": ("STA-6",),  # from the second change on, the first note is read
    "destroy-takes-another": ("STA-6",),  # when three or more books are left
    "third-change-lost": ("STA-2", "STA-6"),  # of a shelf
    # SEC
    "dunder-callable": ("SEC-1",),
    "function-in-any-case": ("SEC-1",),
    "function-trimmed": ("SEC-1",),
    "prototype-crash": ("SEC-1", "COD-8"),
    "sql-in-error": ("SEC-2",),  # invalid data to book.list
    "stack-trace-on-one-error": ("SEC-2",),  # invalid data to shelf.get
    "other-sessions-shown": ("SEC-3",),  # session.whoAmI
    "pass-phrase-echoed": ("SEC-3",),
    "pass-phrase-in-error": ("SEC-3",),  # invalid data to session.open
    "double-slash-merged": ("SEC-4",),
    "path-decoded": ("SEC-4",),
    "trailing-slash-redirect": ("SEC-4",),
    "traversal-resolved": ("SEC-4",),
    "cacheable": ("SEC-5",),  # session.whoAmI
    "no-nosniff": ("SEC-5",),  # every success
    "both-lengths-read": ("SEC-6",),  # the chunks are the body, what follows is a second request
    "first-length-taken": ("SEC-6",),  # the rest is a second request
}
