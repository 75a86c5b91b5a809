"""What retention did so far and when it runs again, read from the house's own chain."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from troth.app.housekeeping import DAYS
from troth.app.workspace import Workspace
from troth.capabilities import trust
from troth.errors import Conflict, NotFound
from troth.kernel import events, ledger, proof
from troth.kernel.scribe import Recorded
from troth.terms import Actor, Instant, Role

LOOKED: Final = "report"
RAN: Final = "retention"
_KIND: Final = "retention"
_PROGRAMS: Final = ("housekeeping", "cli")


@dataclass(frozen=True, slots=True)
class Run:
    """One look or one run over everybody, as the house's chain has it.

    Attributes:
        n: Number of the event in the house's chain; its receipt is found by it.
        ran: It deleted; else it only looked.
        who: Id of the member of staff, or the program's part; "" of somebody no longer listed.
        proved: A signed head of the ledger covers it: there is a receipt.
    """

    n: int
    at: Instant
    ran: bool
    people: int
    fields: int
    leave: int
    who: str
    proved: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """How retention stands.

    Attributes:
        last: The day it last ran by itself or began to count days, ISO; "" never.
        runs: Newest first.
    """

    last: str
    runs: Sequence[Run]


def kept(opened: Workspace, most: int = 12) -> Kept:
    """Return the newest looks and runs; opens the house's chain, nobody's data."""
    desk = opened.desk
    hands = _hands(opened)
    with desk.store.look() as view:
        chain = desk.scribe.chain(view, desk.scribe.house)
        last = view.row(DAYS, b"last") or b""
        note = view.note()
    size = proof.parse_checkpoint(proof.parse_note(note)[0]).size if note else 0
    told = [_run(r, hands, size) for r in chain if _is_retention(r.event.payload)]
    return Kept(last.decode(), told[::-1][:most])


def _hands(opened: Workspace) -> dict[str, str]:
    """Return who by actor, as the house's chain writes actors."""
    desk, staff = opened.desk, opened.settings.staff
    listed = [(Role(role), name) for role, names in staff.items() for name in names]
    scribe = desk.scribe
    programs = {scribe.actor(Actor(Role.SYSTEM, p), scribe.house): p for p in _PROGRAMS}
    return {**programs, **trust.named(desk, listed)}


def _is_retention(said: events.Payload) -> bool:
    return isinstance(said, events.SetProcessed) and said.expression == _KIND


def _run(recorded: Recorded, hands: dict[str, str], size: int) -> Run:
    said, event = recorded.event.payload, recorded.event
    counts = said.counts if isinstance(said, events.SetProcessed) else {}
    ran = isinstance(said, events.SetProcessed) and said.work == RAN
    return Run(
        event.n,
        event.at,
        ran,
        counts.get("people", 0),
        counts.get("fields", 0),
        counts.get("leave", 0),
        hands.get(event.actor, ""),
        recorded.seq < size,
    )


def keeping_receipt(opened: Workspace, n: int) -> str:
    """Return the receipt of a look or run, as `.tlog-proof`.

    Raises:
        NotFound: There is no such look or run.
        Conflict: No signed head covers it yet.
    """
    desk = opened.desk
    with desk.store.look() as view:
        chain = desk.scribe.chain(view, desk.scribe.house)
        found = next((r for r in chain if r.event.n == n and _is_retention(r.event.payload)), None)
        if found is None:
            raise NotFound("there is no such run", "open the retention page")
        note = view.note()
        size = proof.parse_checkpoint(proof.parse_note(note)[0]).size if note else 0
        if note is None or found.seq >= size:
            raise Conflict("the ledger is not signed up to there yet", "try again in a minute")
        extra = proof.event_extra(found.salt, found.raw)
        return ledger.receipt(extra, found.seq, note, view.tile)
