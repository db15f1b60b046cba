"""The types of events and the records inside them; their fields are the members of a line of the log.

A field with a default may be absent in a log. A field whose default is UNSET is not written unless it has a value.
"""

from __future__ import annotations

from typing import Any, TypeVar, Union

from msgspec import UNSET, Struct, UnsetType, field

T = TypeVar("T")

#: A field that a log may lack, or have as null.
Maybe = Union[T, UnsetType, None]  # noqa: UP007  (msgspec reads it when the module is loaded)


class Event(Struct, tag_field="event", kw_only=True):
    """An event of a run; `at` is when it occurred, in seconds from the start of the log."""

    at: float | UnsetType = UNSET


# --- records inside events ------------------------------------------------------------------------------------


class TargetRecord(Struct):
    """The target of a run."""

    url: str
    environment: str | None = None
    embedded: bool = False


class CatalogueRecord(Struct):
    """The catalogue of a run."""

    name: str
    functions: int
    sha256: str


class RuleRecord(Struct):
    """A rule of the rulebook, as the report repeats it."""

    id: str
    level: str
    area: str
    title: str
    clause: str
    why: str


class WaiverRecord(Struct):
    """A waiver of the profile; `until` is an ISO date."""

    rule: str
    function: str | None
    reason: str
    until: str


class KnownFindingRecord(Struct):
    """A finding of an earlier run."""

    rule: str
    function: str | None = None
    kind: str | None = None


class KnownRecord(Struct, rename={"source": "from"}):
    """The findings of the earlier run that was named as known."""

    source: str
    findings: list[KnownFindingRecord] = field(default_factory=list)


class RequestRecord(Struct):
    """A request with secrets masked."""

    verb: str
    url: str
    headers: dict[str, str]
    body: str


class ResponseRecord(Struct):
    """A response with secrets masked."""

    status: int
    headers: dict[str, str]
    body: str
    seconds: float


class CallRecord(Struct):
    """A request and its response, or why there was none, with secrets masked; `curl` sends the request again."""

    request: RequestRecord | None = None
    response: ResponseRecord | None = None
    failure: str | None = None
    curl: str | None = None


class ExchangeRecord(Struct):
    """An exchange of a run: its number, whose call of which function it was, and the call."""

    number: int
    function: str | None
    user: str | None
    request: RequestRecord
    response: ResponseRecord | None
    failure: str | None
    curl: str

    @property
    def call(self) -> CallRecord:
        """The call alone."""
        return CallRecord(self.request, self.response, self.failure, self.curl)


# --- a run and its end ----------------------------------------------------------------------------------------


class LoadOptionsRecord(Struct):
    """The options of a load that its processes do not report themselves."""

    mix: Maybe[dict[str, float]] = UNSET
    think: Maybe[list[float]] = UNSET
    read_only: Maybe[bool] = UNSET
    #: The mix of recorded traffic: its source, the shares asked for, and what is left out.
    mix_from: Maybe[dict[str, Any]] = UNSET


class RunEvent(Event, tag="run", rename={"generate_for": "for"}):
    """The first event of a log: what was run, against which target, under which rules."""

    verb: str
    target: TargetRecord
    started: str
    format: int = 1
    suite: str | None = None
    seed: int | None = None
    strict: bool = False
    budget: str | None = None
    generate_for: float | None = None
    cases: int = 0
    rerun: str | None = None
    rerun_rule: str | None = None
    catalogue: CatalogueRecord | None = None
    known: KnownRecord | None = None
    rules: list[RuleRecord] = field(default_factory=list)
    waivers: list[WaiverRecord] = field(default_factory=list)
    #: The day by which waivers expire, as an ISO date; by default the day on which the run started.
    today: str | None = None
    load: Maybe[LoadOptionsRecord] = UNSET
    #: What the gate requires to be judged, in the standard form of `conformance.rulebook.requirements`.
    required: list[str] | UnsetType = UNSET


class PhaseEvent(Event, tag="phase"):
    """The start of a phase of a run that has several."""

    name: str


class PhaseEndEvent(Event, tag="phase-end"):
    """The end of a phase."""

    name: str
    seconds: float
    requests: int = 0


class InterruptedEvent(Event, tag="interrupted"):
    """The user interrupted the run."""


class CutEvent(Event, tag="cut"):
    """The log could not be written to its end."""


class EndEvent(Event, tag="end"):
    """The last event of a log. Without `requests`, the requests are the exchanges of the log."""

    seconds: float
    requests: int | UnsetType = UNSET


# --- what a check observes ------------------------------------------------------------------------------------


class TestEvent(Event, tag="conversation"):
    """The start of a test."""

    __test__ = False  # for pytest, which collects classes of this name

    name: str


class ExchangeEvent(Event, tag="exchange"):
    """An exchange; the fields are those of `ExchangeRecord` and the name of the test."""

    test: str = ""
    number: int = 0
    function: str | None = None
    user: str | None = None
    request: RequestRecord | None = None
    response: ResponseRecord | None = None
    failure: str | None = None
    curl: str | None = None

    @classmethod
    def of(cls, record: ExchangeRecord, test: str) -> ExchangeEvent:
        """Return the event of an exchange."""
        return cls(
            test,
            record.number,
            record.function,
            record.user,
            record.request,
            record.response,
            record.failure,
            record.curl,
        )


class JudgedEvent(Event, tag="judged"):
    """How often a test judged each rule."""

    test: str
    rules: dict[str, int]


class FindingFields(Event):
    """The fields of a finding; `exchange` is the number of the exchange that shows it."""

    rule: str
    function: str | None = None
    kind: str | None = None
    message: str | None = None
    expected: str | None = None
    actual: str | None = None
    count: int | UnsetType = UNSET
    reproduced: str | None = None
    exchange: int | None = None
    request: RequestRecord | None = None
    response: ResponseRecord | None = None
    failure: str | None = None
    curl: str | None = None
    #: The first exchanges that show it, where a load reports it.
    exchanges: list[ExchangeRecord] | UnsetType = UNSET
    #: A rule of the test that sent the exchange, where that test runs for other rules than the finding's alone.
    test_rule: str | UnsetType = UNSET

    def show(self, record: ExchangeRecord, *, numbered: bool = True) -> None:
        """Take the exchange that shows the finding; without its number if that does not stand in the log."""
        self.exchange = record.number if numbered else None
        self.request, self.response = record.request, record.response
        self.failure, self.curl = record.failure, record.curl


class FindingEvent(FindingFields, tag="finding"):
    """A finding, reported when its test ends."""


class ClientFindingEvent(Event, tag="client finding"):
    """What a client sent wrong, in recorded traffic: no rule of the target is broken by it."""

    function: str | None
    kind: str
    expected: str = ""
    actual: str = ""
    count: int = 1
    exchange: int | None = None
    request: RequestRecord | None = None
    response: ResponseRecord | None = None
    curl: str | None = None


class SeenEvent(FindingFields, tag="seen"):
    """A finding of the running test. It counts if the log ends before the test does."""

    @classmethod
    def of(cls, finding: FindingEvent) -> SeenEvent:
        """Return the same finding, as one of the running test."""
        return cls(**{name: getattr(finding, name) for name in FindingFields.__struct_fields__})


class WithdrawnEvent(Event, tag="withdrawn"):
    """What the running test found so far does not count: the target was reset, or the cause was another."""


class CaseEvent(Event, tag="case"):
    """The case of a finding: `file` within the run's folder has the content `case`, which the log does not repeat."""

    rule: str
    function: str | None
    kind: str | None
    file: str
    case: dict[str, Any] | UnsetType = UNSET


class NotJudgedEvent(Event, tag="not judged"):
    """Why a rule is not judged, for one function or for all; `lines` are what to add to the profile."""

    rule: str
    function: str | None = None
    reason: str | None = None
    lines: str | None = None


class PartlyJudgedEvent(Event, tag="partly judged"):
    """A rule was tested on `done` of `of` subjects only; `what` says what they are."""

    rule: str
    done: int
    of: int
    what: str


class CoverageEvent(Event, tag="coverage"):
    """What was generated for each function, and how the target answered it."""

    functions: dict[str, dict[str, Any]]


class ResetEvent(Event, tag="reset"):
    """The target was reset."""


class ErrorEvent(Event, tag="error"):
    """A problem that prevents a verdict, of one rule or of the run; `ours` says that the suite caused it."""

    rule: str | None
    message: str
    ours: bool | UnsetType = UNSET
    whose: Maybe[str] = UNSET
    trace: Maybe[str] = UNSET


class LeftoverEvent(Event, tag="leftover"):
    """An object that the run created and did not remove."""

    kind: str | None = None
    #: A string. Older logs have it as the target sent it.
    id: Any = None
    function: str | None = None
    reason: str | None = None


class NoteEvent(Event, tag="note"):
    """A note for the user."""

    message: str


# --- what a load observes -------------------------------------------------------------------------------------


class CalibrationEvent(Event, tag="calibration"):
    """The rate that this machine reached against the calibration server, and the CPU time of one request."""

    rate: float
    cpu_us: float


class RefusedEvent(Event, tag="refused"):
    """Why a load did not begin; `kind` is "usage", "target" or "machine". It is not written to the log."""

    kind: str
    text: str


class LoadFields(Event):
    """The plan of a load. The nested records are those of the report's `load`."""

    scenario: Maybe[str] = UNSET
    arrivals: Maybe[str] = UNSET
    executor: Maybe[str] = UNSET
    schedule: Maybe[dict[str, Any]] = UNSET
    warmup: Maybe[float] = UNSET
    duration: Maybe[float] = UNSET
    seed: Maybe[int] = UNSET
    users: Maybe[int] = UNSET
    per_session: Maybe[int | str] = UNSET
    #: Older runs have the limit alone.
    connections: Maybe[dict[str, Any] | int] = UNSET
    generator: Maybe[dict[str, Any]] = UNSET
    waiting: Maybe[dict[str, Any]] = UNSET
    timeout: Maybe[float] = UNSET
    ceiling: Maybe[float] = UNSET
    workers: Maybe[int] = UNSET
    slo: Maybe[list[Any]] = UNSET
    abort: Maybe[list[Any]] = UNSET
    fail_fast: Maybe[bool] = UNSET
    search: Maybe[dict[str, Any]] = UNSET
    steps: Maybe[list[dict[str, Any]]] = UNSET
    mix: Maybe[dict[str, float]] = UNSET
    think: Maybe[list[float]] = UNSET
    read_only: Maybe[bool] = UNSET
    mix_from: Maybe[dict[str, Any]] = UNSET
    abort_when: Maybe[list[Any]] = UNSET

    def filled_from(self, other: LoadFields | LoadOptionsRecord) -> LoadFields:
        """Return a plan with what this one does not say taken from another."""
        fields = LoadFields()
        for name in LoadFields.__struct_fields__:
            value = getattr(self, name)
            setattr(fields, name, getattr(other, name, UNSET) if value is UNSET else value)
        return fields


class LoadEvent(LoadFields, tag="load"):
    """The start of a load."""

    functions: list[str] | UnsetType = UNSET


class FunctionSecondRecord(Struct):
    """The counts of one function in one second; older runs have the errors by kind."""

    requests: int = 0
    errors: int | dict[str, int] | None = 0
    nonconformant: int = 0
    failed: Maybe[int] = UNSET


class SecondEvent(Event, tag="second"):
    """One second of a load: counts, latencies in milliseconds and the encoded histogram of them."""

    asked: float | None = None
    sent: int = 0
    done: int = 0
    failed: int = 0
    nonconformant: int = 0
    dropped: int = 0
    late: int = 0
    #: Older runs do not distinguish served from refused.
    served: Maybe[int] = UNSET
    answered: Maybe[int] = UNSET
    renewed: Maybe[int] = UNSET
    no_connection: Maybe[int] = UNSET
    errors: dict[str, int] = field(default_factory=dict)
    due: str = ""
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    max: float | None = None
    lag: float | None = None
    users: int = 0
    cpu: float | None = None
    connections: int = 0
    #: Older runs have the three counts of a function as a list.
    functions: dict[str, FunctionSecondRecord | list[int]] = field(default_factory=dict)


class MarkRecord(Struct):
    """A mark on the time axis of a load, `at` seconds from its start."""

    at: float
    kind: str
    text: str = ""


class MarkEvent(Event, tag="mark"):
    """A mark on the time axis of a load; `at` is in seconds from its start."""

    kind: str
    text: str = ""


class FailureEvent(Event, tag="failure"):
    """A cause of failed requests, when it first occurred, with its first exchange."""

    kind: str
    function: str | None = None
    message: str | None = None
    count: int = 1
    first: float | None = None
    last: float | None = None
    exchange: CallRecord | None = None


class RuleCountsRecord(Struct):
    """How many exchanges of a load judged a rule, and how many broke it."""

    judged: int
    broken: int


class CountedFindingRecord(Struct):
    """How often a finding occurred in the whole load."""

    rule: str
    function: str | None = None
    kind: str | None = None
    count: int = 1


class LoadEndEvent(LoadFields, tag="load-end"):
    """The end of a load: its plan again, and its results. The nested records are those of the report's `load`."""

    seconds: float | UnsetType = UNSET
    ended: Maybe[str] = UNSET
    marks: list[MarkRecord] = field(default_factory=list)
    #: Counts: in total, by function, and those of the warm-up.
    total: dict[str, Any] | UnsetType = UNSET
    functions: dict[str, dict[str, Any]] | UnsetType = UNSET
    warmed: dict[str, Any] | UnsetType = UNSET
    renewed: int | None = 0
    sessions: dict[str, Any] | None = None
    failures: dict[str, Any] | None = None
    slowest: list[dict[str, Any]] | None = None
    #: Arrivals that lost workers never reported.
    lost: int = 0
    rules: dict[str, RuleCountsRecord] = field(default_factory=dict)
    findings: list[CountedFindingRecord] = field(default_factory=list)
    schema: dict[str, int] | None = None
    slos: list[dict[str, Any]] | None = None
    health: dict[str, Any] | None = None


AnyEvent = Union[  # noqa: UP007  (msgspec reads it when the module is loaded)
    RunEvent,
    PhaseEvent,
    PhaseEndEvent,
    InterruptedEvent,
    CutEvent,
    EndEvent,
    TestEvent,
    ExchangeEvent,
    JudgedEvent,
    FindingEvent,
    SeenEvent,
    ClientFindingEvent,
    WithdrawnEvent,
    CaseEvent,
    NotJudgedEvent,
    PartlyJudgedEvent,
    CoverageEvent,
    ResetEvent,
    ErrorEvent,
    LeftoverEvent,
    NoteEvent,
    CalibrationEvent,
    RefusedEvent,
    LoadEvent,
    SecondEvent,
    MarkEvent,
    FailureEvent,
    LoadEndEvent,
]
