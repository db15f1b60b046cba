"""Playing cases again: users, sessions and identifiers are bound anew, and each step's answer is told and judged.

`conform replay` plays files and prints what came; a check with `--cases` plays a folder's before anything else.
"""

from __future__ import annotations

import argparse
import base64
import dataclasses
import json
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance.cases.format import (
    Case,
    CaseError,
    Expect,
    Step,
    escaped,
    load,
    load_folder,
    symbol,
    symbols,
)
from conformance.cases.symbol_writer import identified, in_case
from conformance.catalog.model import Catalog, Method
from conformance.engine.collection import collect
from conformance.engine.conclusion import Options
from conformance.engine.context import TestContext
from conformance.engine.harness import Harness, Request
from conformance.engine.not_judged import LINES, NotJudgedError, TargetDownError
from conformance.engine.runner import Run
from conformance.errors import UsageError
from conformance.protocol.caller import OMIT
from conformance.protocol.client import OutOfTimeError
from conformance.protocol.exchange import Exchange
from conformance.protocol.session import Session, SetUpFailedError
from conformance.rulebook import RULES
from conformance.schema.pointer import MISSING, resolve

__all__ = ["Played", "Player", "UnplayableError", "play_in_check", "print_replay", "writes"]

#: What nobody's password is.
_WRONG = "conform-nobodys-secret"

#: Characters of a step that are shown.
_SHOWN = 400


class UnplayableError(NotJudgedError):
    """A case cannot be played on this target: the reason, and the lines that would have to be added to the profile."""


@dataclass
class Played:
    """What became of a step: whether it is as expected (None: nothing is expected), and how it departs from then."""

    number: int
    step: Step
    exchange: Exchange
    holds: bool | None
    expected: str = ""
    actual: str = ""
    departs: list[str] = field(default_factory=list)


def writes(case: Case, catalog: Catalog) -> bool:
    """Whether playing a case may write to the target: whatever is not surely a call of a function that reads."""
    for step in case.steps:
        method = catalog.methods.get(step.function or "")
        if method is None or method.effect != "read" or step.verb != "POST" or not step.plain:
            return True
        made = (argument for name, argument in symbols(step.data) if name == "$object")
        if any("state" in argument for argument in made):
            return True
    return False


class Player:
    """Plays one case on a run's target."""

    def __init__(self, run: Run, case: Case) -> None:
        self.run = run
        self.case = case
        self._users = self._bound_users()
        self._resource_list: dict[str, Any] = {}
        self._sessions: dict[tuple[str, int], Session] = {}
        self._key: dict[str, str] | None = None
        self._promised = {step.gives for step in case.steps if step.gives}

    def play(self) -> Iterator[Played]:
        """Send the steps in their order; yield what became of each.

        Raises:
            UnplayableError: a step cannot be sent here.
            TargetDownError: the target takes no connection any more.

        """
        steps = list(enumerate(self.case.steps, 1))
        while steps:
            group = steps[0][1].together
            count = 1
            while group is not None and count < len(steps) and steps[count][1].together == group:
                count += 1
            now, steps = steps[:count], steps[count:]
            # All are bound before the first goes out: what one of them needs must not wait for another.
            calls = [self._ready(step) for _, step in now]
            if len(calls) == 1:
                came = [self._send(*calls[0])]
            else:
                with ThreadPoolExecutor(max_workers=min(16, len(calls))) as pool:
                    came = list(pool.map(lambda call: self._send(*call), calls))
            for (_, step), exchange in zip(now, came, strict=True):
                self._learn(step, exchange)
            for (number, step), exchange in zip(now, came, strict=True):
                if exchange.failure is not None and exchange.failure.kind == "unreachable":
                    raise TargetDownError(exchange.failure.detail)
                yield self._judged(number, step, exchange)

    # -- who and what ------------------------------------------------------------------------------------------

    def _bound_users(self) -> dict[str, str]:
        """Return for each user of the case one of the profile: of the same name, else one with the same roles."""
        ours = self.run.profile.users
        bound = {name: name for name in self.case.users if name in ours}
        for name, roles in self.case.users.items():
            if name in bound:
                continue
            alike = (
                other
                for other, user in ours.items()
                if other not in bound.values() and set(user.roles) == set(roles)
            )
            found = next(alike, None)
            if found is not None:
                bound[name] = found
        return bound

    def user(self, name: str) -> str:
        """Return the profile's user that stands for one of the case.

        Raises:
            UnplayableError: there is none.

        """
        if self.run.profile.auth.login is None:
            raise UnplayableError("the profile does not say how to sign in", LINES["login"])
        if name in self._users:
            return self._users[name]
        if name in self.run.profile.users:
            return name
        raise UnplayableError(
            f"the profile has no user {name!r}, and none with the same roles",
            f'[users.{name}]\nuser = "…"\nsecret = "${{…}}"' if name.isidentifier() else None,
        )

    def session(self, name: str, number: int) -> Session:
        """Return a session of a user of the case.

        Raises:
            UnplayableError: the user cannot be signed in.

        """
        user = self.user(name)
        try:
            if number == 0:
                return self.run.sessions.of(user)
            key = (user, number)
            if key not in self._sessions:
                self._sessions[key] = self.run.sessions.sign_in(user)
            return self._sessions[key]
        except SetUpFailedError as error:
            raise UnplayableError(error.reason) from error

    def _resource(self, told: dict[str, Any]) -> Any:
        """Return the identifier of an object of the case, made here where need be."""
        name, kind = told["name"], told["kind"]
        if name in self._resource_list:
            return self._resource_list[name]
        if name in self._promised:
            raise UnplayableError(f"{name} was to be made by a step that made none")
        user = self.user(told["of"])
        deleted = told.get("state") == "deleted"
        run = self.run
        if deleted and not run.writable:
            raise UnplayableError(f"a deleted {kind} is needed, and nothing may be written here")
        try:
            resource = self._made(kind, user, told.get("with")) or run.resources.new(kind, user)
            if deleted:
                why = None if resource.made else f"no {kind} can be made here to be deleted"
                why = why or run.resources.remove(resource)
                if why is not None:
                    raise UnplayableError(f"no deleted {kind} can be had: {why}")
        except SetUpFailedError as error:
            raise UnplayableError(error.reason) from error
        self._resource_list[name] = resource.id
        return resource.id

    def _made(self, kind: str, user: str, data: Any) -> Any:
        """Make an object with the very data of then; None where the target does not take it."""
        resources = self.run.resources
        create = resources.creator(kind, user)
        if create is None or data is None:
            return None
        sent = self.bound(data)
        return resources.learn(resources.call(create, sent, user), create, sent, user)

    # -- symbols -----------------------------------------------------------------------------------------------

    def bound(self, value: Any) -> Any:
        """Return a value with everything that its symbols stand for.

        Raises:
            UnplayableError: something cannot be had here.

        """
        found = symbol(value)
        if found is not None:
            return self._meant(*found)
        if isinstance(value, dict):
            return {name: self.bound(each) for name, each in value.items()}
        if isinstance(value, list):
            return [self.bound(each) for each in value]
        return value

    def _meant(self, name: str, argument: Any) -> Any:
        if name == "$object":
            return self._resource(argument)
        if name == "$user":
            return self.run.profile.users[self.user(argument)].user
        if name == "$secret":
            return self._secret(argument)
        if name == "$session":
            return invalid_data(self.session(argument["of"], argument.get("session", 0)).token, argument)
        if name == "$token":
            return ("conformNobodysSession0" * (argument // 22 + 1))[:argument]
        if name == "$base":
            address = self.run.client.address
            return address.authority if argument == "authority" else address.path
        if name == "$literal":
            return argument
        if name == "$escaped":
            return escaped(str(self.bound(argument)))
        data = self.bytes(argument if name == "$text" else [{name: argument}])
        try:
            return data.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return data.decode("latin-1")

    def _secret(self, told: Any) -> str:
        if told == "wrong":
            # It counts as a password: no answer may repeat it either.
            self.run.secret_registry.password(_WRONG)
            return _WRONG
        of = told if isinstance(told, str) else str(told["of"])
        if of.startswith("auth.key_login."):
            key = self.run.profile.auth.key_login
            if key is None:
                raise UnplayableError("the profile does not say how to sign in with a key", LINES["key"])
            name = of.rpartition(".")[2]
            text = key.public if name == "public" else self._signed()[name]
        else:
            name = of.removeprefix("users.").removesuffix(".secret")
            text = self.run.profile.users[self.user(name)].secret
        if isinstance(told, dict):
            text = invalid_data(text, told)
            if not of.startswith("auth."):
                self.run.secret_registry.password(text)
        return text

    def _signed(self) -> dict[str, str]:
        """Return the values of a key login, the same four throughout a step."""
        if self._key is None:
            self._key = self.run.sessions.key_login_data(str(int(time.time() * 1000)))
        return self._key

    def bytes(self, pieces: Any) -> bytes:
        """Return a text of the case, or its pieces, as the bytes that go over the wire."""
        if isinstance(pieces, str):
            return pieces.encode("utf-8", "surrogatepass")
        if isinstance(pieces, dict):
            found = symbol(pieces)
            return self.bytes(found[1] if found and found[0] == "$text" else [pieces])
        out = b""
        for piece in pieces:
            found = symbol(piece)
            if found is not None and found[0] == "$bytes":
                out += base64.b64decode(found[1])
            else:
                value = self.bound(piece)
                text = value if isinstance(value, str) else json.dumps(value)
                out += text.encode("utf-8", "surrogatepass")
        return out

    # -- sending -----------------------------------------------------------------------------------------------

    def _ready(self, step: Step) -> tuple[Step, dict[str, Any]]:
        """Return a step with all that it is sent with."""
        self._key = None
        user = self.user(step.user) if step.user is not None else None
        options: dict[str, Any] = {"user": user}
        if step.token is not None:
            options["token"] = self._token(step)
            options["in_session"] = False
        elif step.user is not None and step.opens is None:
            options["token"] = self.session(step.user, step.session).token
        if step.raw is not None:
            return step, {"raw": self.bytes(step.raw), "user": user}
        options["headers"] = [(name, str(self.bound(text))) for name, text in step.headers]
        options |= {
            "verb": step.verb,
            "content_type": step.content_type,
            "chunked": step.chunked,
            "token_header": step.token_header,
        }
        if step.target is not None:
            options["target"] = str(self.bound(step.target))
        if step.body is not None:
            options["body"] = self.bytes(step.body)
            return step, options
        if step.data is not OMIT:
            options["data"] = self._data(step)
        for name, value in (("page_start", step.page_start), ("page_length", step.page_length)):
            if value is not OMIT:
                options[name] = self.bound(value)
        return step, options

    def _token(self, step: Step) -> str:
        """Return what the Token header holds that is no session: by chance a spoiled one may be whole again."""
        found = symbol(step.token)
        if found is not None and found[0] == "$session" and not found[1].keys() & {"from", "cut", "case"}:
            return str(self.bound(step.token))
        for _ in range(8):
            token = str(self.bound(step.token))
            if token not in self.run.secret_registry.sessions():
                return token
            self.run.sessions.drop()
        return token

    def _data(self, step: Step) -> Any:
        """Return a step's data; what it would delete must be of the run's own making.

        Raises:
            UnplayableError: it is not.

        """
        data = self.bound(step.data)
        method = self.run.catalog.methods.get(step.function or "")
        if method is not None and self._deletes(method) and isinstance(data, dict):
            for pointer, kind in identified(method):
                value = resolve(data, pointer) if "*" not in pointer else MISSING
                ours = value is not MISSING and value in self._resource_list.values()
                if ours and not self.run.resources.resource(kind, value, "").made:
                    raise UnplayableError(f"{step.function} would delete a {kind} that was not made here")
        return data

    @staticmethod
    def _deletes(method: Method) -> bool:
        return method.effect == "delete" or (method.object is not None and method.object.does == "delete")

    def _send(self, step: Step, options: dict[str, Any]) -> Exchange:
        run = self.run
        if "raw" in options:
            exchange, _ = run.client.send_bytes(options["raw"], function=step.function, user=options["user"])
            return exchange
        name = step.function if step.function is not None else f"{options['target']}."
        return run.caller.call(name, **options)

    def _learn(self, step: Step, exchange: Exchange) -> None:
        """Take up what a step was to make: an object, or a session."""
        method = self.run.catalog.methods.get(step.function or "")
        if step.gives and method is not None and method.object is not None and exchange.succeeded:
            identifier = resolve(exchange.data, method.object.id)
            if identifier is not MISSING and not isinstance(identifier, dict | list | None):
                self._resource_list[step.gives] = identifier
        if step.opens is not None and step.user is not None:
            token = self.run.sessions.session_value(exchange)
            if isinstance(token, str) and token:
                user = self.user(step.user)
                self._sessions[(user, step.opens)] = Session(user, token)

    # -- judging -----------------------------------------------------------------------------------------------

    def _judged(self, number: int, step: Step, exchange: Exchange) -> Played:
        played = Played(number, step, exchange, None, actual=exchange.summary())
        expect = step.expect
        if expect:
            played.holds = True
            expected: list[str] = []
            wrong: list[str] = []
            for told, good, actual in self._questions(step, expect, exchange):
                expected.append(told)
                if not good:
                    played.holds = False
                    wrong.append(actual)
            played.expected = "; ".join(expected)
            played.actual = "; ".join(dict.fromkeys(wrong)) or exchange.summary()
        played.departs = _departs(step.saw, exchange)
        return played

    def _questions(self, step: Step, expect: Expect, exchange: Exchange) -> Iterator[tuple[str, bool, str]]:
        """Yield what is expected, whether it is so, and what is instead."""
        if expect.status:
            wanted = " or ".join(str(code) for code in expect.status)
            yield f"status {wanted}", exchange.status in expect.status, exchange.summary()
        if expect.rule is not None:
            rule = RULES[expect.rule]
            assert rule.check is not None
            outcome = rule.check(exchange)
            told = outcome.expected if outcome.broken else rule.title
            yield f"{rule.id}: {told}", not outcome.broken, outcome.actual
        for pointer, value in expect.equals.items():
            wanted = self.bound(value)
            found = resolve(exchange.data, pointer)
            yield (
                f"data{pointer} = {_short(value)}",
                found is not MISSING and _same(found, wanted),
                f"data{pointer} = {_short(found) if found is not MISSING else 'nothing'}",
            )
        method = self.run.catalog.methods.get(step.function or "")
        rows = self.run.resources.rows(method, exchange) if method is not None else []
        pointer = method.object.id if method is not None and method.object is not None else ""
        shown = [resolve(row, pointer) for row in rows]
        for value in expect.has:
            yield f"a row of {_short(value)}", self.bound(value) in shown, f"no row of {_short(value)}"
        for value in expect.lacks:
            yield f"no row of {_short(value)}", self.bound(value) not in shown, f"a row of {_short(value)}"


def invalid_data(text: str, how: dict[str, Any]) -> str:
    """Return a secret that is not quite it: "case" in another case, "from" and "cut" a part of it."""
    text = in_case(text, how["case"]) if "case" in how else text
    return text[how.get("from", 0) : how.get("cut", len(text))]


def _same(found: Any, wanted: Any) -> bool:
    """Whether two JSON values are the same; 1 and 1.0 are, 1 and true are not."""
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    if isinstance(found, dict) and isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(_same(found[name], wanted[name]) for name in found)
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(_same, found, wanted))
    return bool(found == wanted)


def _departs(saw: Any, exchange: Exchange) -> list[str]:
    """Say in what an answer is not as it was when the case was made."""
    if not saw:
        return []
    if exchange.failure is not None:
        return [] if "failure" in saw else [f"status {saw.get('status')} then, no answer now"]
    if "failure" in saw:
        return [f"no answer then ({saw['failure']}), status {exchange.status} now"]
    told = []
    if saw.get("status") != exchange.status:
        told.append(f"status {saw.get('status')} then, {exchange.status} now")
    if "errMsg" in saw and type(saw["errMsg"]) is not type(exchange.message):
        told.append(f"errMsg {_short(saw['errMsg'])} then, {_short(exchange.message)} now")
    then, now = saw.get("data"), exchange.data
    if isinstance(then, dict) and isinstance(now, dict) and then.keys() != now.keys():
        gone, new = sorted(then.keys() - now.keys()), sorted(now.keys() - then.keys())
        told += [f"data without {', '.join(gone)}"] * bool(gone) + [f"data with {', '.join(new)}"] * bool(new)
    elif "data" in saw and type(then) is not type(now):
        told.append(f"data {_short(then)} then, {_short(now)} now")
    return told


# --- in a check ---


def play_in_check(ctx: TestContext, case: Case) -> None:
    """Play a case as a conversation of a check; what differs is a finding under the case's own rule.

    Raises:
        NotJudgedError: it cannot be played here, or nothing in it says what is expected.

    """
    if writes(case, ctx.catalog):
        ctx.need_writing()
    name = case.path.name if case.path else case.name
    judged = False
    try:
        for played in Player(ctx.run, case).play():
            if played.holds is None:
                continue
            judged = True
            expect = played.step.expect
            if expect.rule == case.rule and len(expect.to_json()) == 1:
                # Every exchange of a run is put to the rules that one is enough to judge.
                continue
            ctx.judge(
                case.rule,
                played.holds,
                kind=case.kind,
                expected=played.expected,
                actual=played.actual,
                exchange=played.exchange,
                function=case.function,
                message=case.message,
                case=[step.to_json() for step in case.steps],
            )
            if not played.holds:
                return
    except UnplayableError as error:
        ctx.give_up(f"the case {name} cannot be played: {error.reason}", error.lines)
    if not judged:
        ctx.give_up(f"the case {name} does not say what is expected of an answer: a person has to compare")


# --- the command ---


def print_replay(request: Request, options: argparse.Namespace) -> int:
    """Play the files that the options name and print, step by step, what was sent and what came.

    Returns 0 where every case that can be judged is as expected, 1 where one still differs, 3 where the target does not
    answer or nothing could be judged.

    Raises:
        UsageError: a file is no case, or the profile or the catalogue is wrong.

    """
    cases = _cases(options.files)
    harness = Harness.prepare(request)
    try:
        harness.connect()
        run = Run(
            harness.profile,
            harness.catalog,
            Options(
                seed=harness.seed,
                read_only=request.read_only,
                rules=frozenset(),
                deadline=600.0,
            ),
            lambda event: None,
            confirm=False,
        )
        return _Screen(harness, run, quiet=request.quiet).play(cases)
    finally:
        harness.close()


def _cases(paths: Sequence[Path]) -> list[Case]:
    cases: list[Case] = []
    for path in paths:
        try:
            cases += load_folder(path) if path.is_dir() else [load(path)]
        except CaseError as error:
            raise UsageError(f"{error}" if path.is_dir() else f"{path}: {error}") from error
    return cases


@dataclass
class _End:
    """How a case ended: "as expected now", "still differs", "cannot be played" or "cannot be judged", and why."""

    case: Case
    how: str
    why: str = ""
    lines: list[str] = field(default_factory=list)


class _Screen:
    """Plays cases and prints them."""

    def __init__(self, harness: Harness, run: Run, *, quiet: bool) -> None:
        self.harness = harness
        self.run = run
        self.quiet = quiet
        self._encoding = getattr(sys.stdout, "encoding", None)

    def play(self, cases: Sequence[Case]) -> int:
        """Play the cases, tell of each, and return the exit status."""
        ends: list[_End] = []
        down: str | None = None
        try:
            for case in cases:
                ends.append(self._play(case))
                if not self.quiet:
                    self._print([*ends[-1].lines, ""])
        except (TargetDownError, OutOfTimeError) as error:
            down = str(error) or "the replay took too long"
        finally:
            self.run.finish()
        width = max((len(end.how) for end in ends), default=0)
        self._print(
            [f"{end.how:<{width}}  {_file(end.case)}{f': {end.why}' if end.why else ''}" for end in ends]
        )
        if down is not None:
            print(f"conform replay: {down}: {self.harness.shown_url}", file=sys.stderr, flush=True)
            return 3
        hows = {end.how for end in ends}
        return 1 if "still differs" in hows else 0 if "as expected now" in hows else 3

    def _print(self, lines: Sequence[str]) -> None:
        from conformance.text import reveal, writable

        mask = self.run.secret_registry.mask
        text = "\n".join(writable(reveal(mask(line)), self._encoding) for line in lines)
        print(text, flush=True)

    def _play(self, case: Case) -> _End:
        """Play one case; begun again where the test environment was reset in the middle.

        Raises:
            TargetDownError: the target does not answer.
            OutOfTimeError: the replay took too long.

        """
        end = _End(case, "")

        def body(ctx: TestContext) -> None:
            end.lines = [f"{_file(case)}  {case.rule} {RULES[case.rule].level}  {RULES[case.rule].title}"]
            end.how, end.why = "cannot be played", ""
            if writes(case, ctx.catalog):
                ctx.need_writing()
            held: list[bool] = []
            departs: list[str] = []
            for played in Player(ctx.run, case).play():
                end.lines += _lines(played)
                departs += [f"step {played.number}: {each}" for each in played.departs]
                if played.holds is not None:
                    held.append(played.holds)
                if played.holds is False and not end.why:
                    end.why = f"step {played.number}: {played.actual}"
            if held:
                end.how = "as expected now" if all(held) else "still differs"
            else:
                self._compare(end, departs)

        conclusion = self.run.run_test(f"replay/{case.name}", (), body)
        if conclusion.not_judged is not None:
            end.how, end.why = "cannot be played", conclusion.not_judged
        elif conclusion.crashed is not None:
            end.how, end.why = "cannot be played", f"the suite itself failed: {conclusion.crashed}"
        return end

    def _compare(self, end: _End, departs: list[str]) -> None:
        """Tell of a case that no single answer can be judged by."""
        case = end.case
        end.how = "cannot be judged"
        end.why = "a person has to compare; " + (
            departs[0] if departs else "the answers are as they were then"
        )
        end.lines += [f"  expected  {_cut(case.expected)}", f"  got then  {_cut(case.actual)}"]
        if RULES[case.rule].check is None and _has_test(self.run, case):
            check = dataclasses.replace(
                self.harness, request=dataclasses.replace(self.harness.request, verb="check")
            )
            end.lines.append(f"  judge it  {check.command()} --rule {case.rule}")


def _has_test(run: Run, case: Case) -> bool:
    """Return whether a test judges the case's rule on the case's function."""
    return any(
        not isinstance(test.value, Method) or test.value.name == case.function
        for test in collect(run, frozenset({case.rule}))
    )


def _file(case: Case) -> str:
    return case.path.name if case.path is not None else case.name


def _lines(played: Played) -> list[str]:
    """Return what is told of a step: what was sent, what came, what was expected, what differs."""
    step = played.step
    who = (step.user or "nobody") + (f" (session {step.session})" if step.session else "")
    lines = [f"  {played.number}  {who}: {_cut(_sent(step))}"]
    came = played.exchange.summary()
    data = played.exchange.data
    if played.exchange.status == 200 and not played.exchange.login and isinstance(data, dict | list):
        came += f", data {_short(data)}"
    lines.append(f"     came      {_cut(came)}")
    if played.holds is not None:
        lines.append(f"     expected  {_cut(played.expected)}")
        lines.append(f"     {'as expected' if played.holds else f'differs   {_cut(played.actual)}'}")
    lines += [f"     changed   {_cut(each)}" for each in played.departs]
    return lines


def _sent(step: Step) -> str:
    if step.raw is not None:
        return f"bytes that are no well-formed request: {_text(step.raw)}"
    extra = "".join(f", {name}: {_text(text)}" for name, text in step.headers)
    if step.token is not None:
        extra += f", {step.token_header}: {_text(step.token)}"
    if step.content_type != "application/json":
        extra += f", Content-Type: {step.content_type}" if step.content_type else ", no Content-Type"
    extra += ", chunked" if step.chunked else ""
    verb = "" if step.verb == "POST" else f"{step.verb} "
    if step.body is not None:
        target = step.target if step.target is not None else (step.function or "").partition(".")[0]
        return f"{verb}{_text(target)} with {_text(step.body) or 'no bytes'} as its body{extra}"
    pages = "".join(
        f", {name} {_told(value)}"
        for name, value in (("pageStart", step.page_start), ("pageLength", step.page_length))
        if value is not OMIT
    )
    data = "" if step.data is OMIT else f" {_told(step.data)}"
    return f"{verb}{step.function}{data}{pages}{extra}"


def _told(value: Any) -> str:
    """Return a value of a case for people: names in the places of symbols."""
    found = symbol(value)
    if found is None:
        if isinstance(value, dict):
            return "{" + ", ".join(f"{json.dumps(name)}: {_told(each)}" for name, each in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(map(_told, value)) + "]"
        return json.dumps(value, ensure_ascii=False)
    name, told = found
    if name == "$object":
        return f"<{told['name']} of {told['of']}{', deleted' if 'state' in told else ''}>"
    if name == "$text":
        return "".join(each if isinstance(each, str) else _told(each) for each in told)
    if name == "$bytes":
        return repr(base64.b64decode(told)[:200])[2:-1]
    if name == "$secret":
        return f"<{told if isinstance(told, str) else told['of'] + ', not quite'}>"
    if name == "$session":
        return f"<session of {told['of']}{', not quite' * bool(told.keys() & {'from', 'cut', 'case'})}>"
    if name == "$token":
        return f"<a session of nobody, {told} characters>"
    if name == "$escaped":
        return _told(told)
    return json.dumps(told, ensure_ascii=False) if name == "$literal" else f"<{told}>"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else _told(value)


def _short(value: Any) -> str:
    try:
        return _cut(_told(value), 160)
    except RecursionError:
        return "(nested too deep to show)"


def _cut(text: str, limit: int = _SHOWN) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
