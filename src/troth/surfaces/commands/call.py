"""One call of a command: which workspace, as of when, on whose behalf, about whom."""

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from troth import app
from troth.capabilities import people
from troth.capabilities.access import exports
from troth.capabilities.access import reading as reading_first
from troth.capabilities.access.cases import reference
from troth.capabilities.access.reading import Reading
from troth.errors import InvalidInput
from troth.kernel.looking import NOBODY
from troth.ports import Clock, View
from troth.surfaces.commands.answer import Answer
from troth.surfaces.words import catalogue, spoken
from troth.terms import (
    SECOND,
    Action,
    Actor,
    Instant,
    PersonId,
    Reason,
    Refusal,
    Role,
    instant,
    zulu,
)

DEMO_MARK = "demo.json"
LOCAL = Actor(Role.SYSTEM, "cli")
"""Who acts when nobody is named; the operating system's user is never looked at."""

DEMO_CLOCK = "demo.clock"
WALK = 6 * 3600 * SECOND
"""A served demo walks from 10:00 to 16:00, inside the hours in which marketing may be sent."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_OWN = frozenset({Role.SYSTEM, Role.PERSON})


@dataclass(frozen=True, slots=True)
class Call:
    """What every command is told.

    Attributes:
        at: `--at`, or "" for the machine's clock (a demo's own moment in a demo).
        who: `--as`, or "" for `LOCAL`.
        tell: Shows a passing line to a person; nothing where the output is for programs.
        watch: Makes a progress bar's `done` function for a task's name.
    """

    folder: Path
    at: str = ""
    who: str = ""
    tell: Callable[[str], None] = lambda _line: None
    watch: Callable[[str], Callable[[int], None]] = lambda _name: lambda _done: None

    def standing(self) -> Instant | None:
        """Return the instant at which the clock stands, None where the machine's clock runs."""
        if self.at:
            return read_instant(self.at, "--at")
        mark = self.folder / DEMO_MARK
        if not mark.is_file():
            return None
        try:
            return instant(
                datetime.fromisoformat(json.loads(mark.read_text("utf-8"))["demo_time"])
            )
        except (ValueError, KeyError, TypeError):
            return None

    def _walking(self) -> Clock | None:
        """Return the clock of a demo that is or was served, None of any other workspace."""
        if not (self.folder / DEMO_MARK).is_file():
            return None
        try:
            told = json.loads((self.folder / DEMO_CLOCK).read_text("utf-8"))
            return app.walking_clock(Instant(told["at"]), told["since"], Instant(told["until"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def walk(self) -> None:
        """Let a demo's clock walk on from where its record stands, up to the late afternoon."""
        begun = self.standing()
        if begun is None or self.at:
            return
        with self.opened() as ws, ws.store.look() as view:
            at = view.now
        told = {"at": at, "since": app.real_micros(), "until": begun + WALK}
        (self.folder / DEMO_CLOCK).write_text(json.dumps(told), "utf-8")

    @contextmanager
    def opened(self) -> Iterator[app.Workspace]:
        """Open the workspace; a standing clock is said."""
        at = self.standing()
        if at is not None and at > app.real_micros() and not (self.folder / DEMO_MARK).is_file():
            raise InvalidInput(
                "--at lies in the future",
                "what is recorded there would lock the record until then",
            )
        ws = app.open(self.folder, at=at, clock=None if self.at else self._walking())
        try:
            if at is not None:
                self.tell(f"demo time: {spoken(at, ws.settings.zone)}")
            yield ws
        finally:
            ws.close()

    def actor(self, ws: app.Workspace, person: PersonId | None = None) -> Actor:
        """Return on whose behalf this runs; staff must be listed in troth.toml.

        Raises:
            InvalidInput: `--as` is not ROLE:ID, or names nobody of that role.
        """
        if not self.who:
            return LOCAL
        word, _, name = self.who.partition(":")
        if word not in {role.value for role in Role}:
            raise InvalidInput(
                "--as names no role", f"use ROLE:ID with a role of {', '.join(Role)}"
            )
        role = Role(word)
        if role is Role.PERSON:
            return _themselves(person)
        if role not in _OWN and name not in ws.settings.staff.get(role, ()):
            raise InvalidInput("--as names nobody of this role", "list them under [roles]")
        if not name:
            raise InvalidInput("--as needs an id", "use ROLE:ID")
        return Actor(role, name)


def _themselves(person: PersonId | None) -> Actor:
    if person is None:
        raise InvalidInput("--as person needs a person", "name a role of the house")
    return Actor(Role.PERSON, person.hex())


def read_instant(text: str, option: str) -> Instant:
    """Read a time with its zone.

    Raises:
        InvalidInput: It has none, or is no time.
    """
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        read = None
    if read is None or read.tzinfo is None:
        raise InvalidInput(f"{option} is no time with its zone", "write 2026-11-24T08:30:00+02:00")
    return instant(read)


def plain_name(text: str, what: str) -> str:
    """Require a name that may stand in a path and be shown.

    Raises:
        InvalidInput: It has other signs than small letters, digits, - and _.
    """
    if not _NAME.fullmatch(text):
        raise InvalidInput(f"{what} is no name", "use small letters, digits, - and _")
    return text


def find(ws: app.Workspace, view: View, text: str) -> PersonId:
    """Return whom an outside id or an e-mail address means; `-` reads it from standard input.

    Opens nothing. The text itself is never shown or kept.

    Raises:
        NotFound: Nobody is known under it.
        InvalidInput: Several people share the address.
    """
    text = sys.stdin.readline().strip() if text == "-" else text.strip()
    return people.whom(ws.desk, view, text, text if "@" in text else "")


def reasons_said(refusal: Refusal) -> list[str]:
    """Say why not, a line a reason."""
    words = catalogue()
    return [
        f"  {words.reason(r.code).title}: {words.reason(r.code).why} ({r.rule})"
        for r in refusal.reasons
    ]


def reasons_data(reasons: Sequence[Reason]) -> list[dict[str, str]]:
    """Return reasons as programs read them."""
    return [{"code": str(r.code), "rule": r.rule, "remedy": r.remedy} for r in reasons]


def refused(refusal: Refusal, head: str) -> Answer:
    """Answer with a refusal."""
    data: dict[str, Any] = {"agreed": False, "reasons": reasons_data(refusal.reasons)}
    return Answer(data, [head, *reasons_said(refusal)], 1)


def seek(call: Call, ws: app.Workspace, person: str, wanted: Reading) -> Reading | Refusal:
    """Judge the claim of a look, then search for whom it is at; a bare number names a case.

    Whoever may not look learns that before anybody is searched for. `wanted` names nobody yet.

    Raises:
        NotFound: Nobody is known under it.
        InvalidInput: Several people share the address, or `--as` names nobody.
    """
    wanted = replace(wanted, reason=reference(wanted.reason))
    themselves = call.who.partition(":")[0] == Role.PERSON
    if not themselves:
        wanted = replace(wanted, actor=call.actor(ws))
        if (no := reading_first.may_claim(ws.desk, wanted)) is not None:
            return no
    with ws.store.look() as view:
        who = find(ws, view, person)
    return replace(wanted, person=who, actor=call.actor(ws, who))


def look_for(fields: tuple[str, ...], reason: str, action: Action = Action.READ) -> Reading:
    """Return a look at somebody who is not found yet, by somebody who is not named yet."""
    return Reading(NOBODY, LOCAL, fields, reason, action)


def leaving(ws: app.Workspace, reading: Reading, what: str) -> Reading:
    """Return the same look as an export with an id; a person's own copy has none."""
    own = reading.actor.role is Role.PERSON
    return reading if own else replace(reading, export=exports.new_id(ws.desk), what=what)


def left_in(ws: app.Workspace, reading: Reading) -> exports.Export | None:
    """Return the export something was just booked to leave in."""
    if not reading.export:
        return None
    with ws.store.look() as view:
        return exports.found(view, reading.export)


def export_data(left: exports.Export | None) -> dict[str, str]:
    """Return an export's mark as programs read it."""
    return {"export": left.id, "delete_by": zulu(left.until)} if left is not None else {}


def export_lines(left: exports.Export | None) -> list[str]:
    """Say by when what was taken out is to be deleted, and who says so afterwards."""
    if left is None:
        return []
    day = zulu(left.until)[:10]
    how = f"troth access exports --confirm {left.id}"
    return [f"Export {left.id}: delete it by {day}, then confirm it: {how}"]


def book_reading(ws: app.Workspace, reading: Reading) -> Refusal | None:
    """Ask the gate for a reading and record it, or its refusal, before anything is opened."""
    return reading_first.book_reading(ws.desk, reading)
