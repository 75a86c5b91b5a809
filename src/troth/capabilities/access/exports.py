"""What staff take out: known by an id, marked, to be deleted by a day, asked after until it is.

The house event comes first; whoever leaves by name has it in their own chain too. The file says
whose it is, what for and until when. Afterwards somebody confirms that it was deleted.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from troth.errors import Conflict, InvalidInput, NotFound
from troth.kernel import events, ledger
from troth.kernel.desk import Desk
from troth.ports import Transaction, View
from troth.terms import DAY, SECOND, Actor, Instant, PersonId, Prepared, Role, zulu

MARK: Final = "EXPORT.txt"
"""Name of the file of the mark inside an archive."""
TABLE: Final = "access.export"
"""Id → the export as it stands; nobody taken out is named."""
ID_BYTES: Final = 5
KEEP_DAYS: Final = 400
"""A confirmed export is listed for so long."""
MAY_CONFIRM: Final = frozenset({Role.OFFICER, Role.IT, Role.SYSTEM})
_NEVER: Final = Instant(0)
_SAFE = re.compile(r"[^a-z0-9]+")
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Export:
    """One thing taken out.

    Attributes:
        what: package, complaint, receipts, request, list, report and others like them.
        account: Who took it, as the house chain names them.
        until: It is to be deleted by then.
        confirmed: When somebody said it is; 0 while nobody did. `by`: who.
    """

    id: str
    what: str
    purpose: str
    account: str
    role: str
    at: Instant
    until: Instant
    people: int
    reason: str = ""
    confirmed: Instant = _NEVER
    by: str = ""

    @property
    def open(self) -> bool:
        """Tell whether nobody confirmed its deletion."""
        return not self.confirmed

    def overdue(self, at: Instant) -> bool:
        """Tell whether it was to be deleted by now and nobody said it was."""
        return self.open and at >= self.until

    def named(self, stem: str, ending: str) -> str:
        """Return the file's name, which carries the mark.

        >>> one = Export("ex-1", "list", "service", "a", "it", Instant(0), Instant(0), 1)
        >>> one.named("a", "zip")
        'a.ex-1.for-it.until-1970-01-01.zip'
        """
        role = _SAFE.sub("-", self.role.lower())
        return f"{stem}.{self.id}.for-{role}.until-{zulu(self.until)[:10]}.{ending}"

    def line(self) -> str:
        """Return the mark in one line, for each row of a table or the foot of a page."""
        role, until = self.role.replace("_", " "), zulu(self.until)[:10]
        purpose = self.purpose.replace("_", " ")
        return f"{self.id}; for {role}; purpose: {purpose}; delete by {until}"

    def mark(self) -> str:
        """Return what stands in the file: whose, what for, until when, and what then."""
        return (
            f"Export {self.id}\n"
            f"Taken out on {zulu(self.at)} for {self.role.replace('_', ' ')}, "
            f"purpose: {self.purpose}\n"
            f"To be deleted by {zulu(self.until)[:10]}. Whoever deletes it confirms it: "
            f"troth access exports --confirm {self.id}\n"
            "Each person named in it sees in their own record that it was taken out.\n"
        )


@dataclass(frozen=True, slots=True)
class Taking:
    """What is about to be taken out.

    Attributes:
        people: Whose data, as far as the record knows them; of rows it knows nobody in, a
            digest each.
        count: How many people it holds; -1: those of `people`.
    """

    what: str
    purpose: str
    people: Sequence[PersonId] = ()
    reason: str = ""
    count: int = -1


def new_id(desk: Desk) -> str:
    """Draw the id of an export; nothing is recorded yet."""
    return f"ex-{desk.randomness.take(ID_BYTES).hex()}"


def draft(desk: Desk, view: View, ident: str, taking: Taking, actor: Actor) -> Export:
    """Return an export as it would be booked now."""
    until = Instant((view.now + desk.house(view).looks.export_days * DAY) // SECOND * SECOND)
    people = len(taking.people) if taking.count < 0 else taking.count
    return Export(
        ident, taking.what, taking.purpose, desk.account(actor), str(actor.role),
        Instant(view.now // SECOND * SECOND), until, people, taking.reason,
    )  # fmt: skip


def prepare(
    desk: Desk, view: View, export: Export, people: Iterable[PersonId], actor: Actor
) -> list[Prepared]:
    """Prepare the house event of an export, to be booked with what it names or before it."""
    said = events.ExportMade(
        export.id,
        export.what,
        export.purpose,
        {"people": export.people},
        members_root(desk, people),
        zulu(export.until),
        export.reason or None,
    )
    return desk.house_event(view, said, actor)


def members_root(desk: Desk, people: Iterable[PersonId]) -> str:
    """Return the root over the sorted keyed digests of a set's members."""
    digests = sorted(desk.scribe.member(person) for person in people)
    return ledger.subtree_root(ledger.leaf_hashes(digests)).hex()


def put(tx: Transaction, export: Export) -> None:
    """Write the row of an export, in the commit that books its event."""
    tx.put_row(TABLE, export.id.encode(), msgspec.json.encode(export))


def begin(desk: Desk, taking: Taking, actor: Actor) -> Export:
    """Book that a set is taken out, before it is; return its mark."""
    ident = new_id(desk)
    while True:
        with desk.store.look() as view:
            export = draft(desk, view, ident, taking, actor)
            prepared = prepare(desk, view, export, taking.people, actor)
        with desk.store.book() as tx:
            if not tx.append(prepared):
                put(tx, export)
                return export


def found(view: View, ident: str) -> Export:
    """Return one export.

    Raises:
        NotFound: There is none of this id.
    """
    raw = view.row(TABLE, ident.encode())
    if raw is None:
        raise NotFound("there is no such export", "see: troth access exports")
    return msgspec.json.decode(raw, type=Export)


def listed(view: View) -> list[Export]:
    """Return every export kept, the one due first before the others, confirmed ones last."""
    out: list[Export] = []
    after = b""
    while page := view.rows(TABLE, b"", after, _PAGE):
        out += [msgspec.json.decode(raw, type=Export) for _, raw in page]
        after = page[-1][0]
    return sorted(out, key=lambda each: (not each.open, each.until, each.id))


def counts(view: View) -> Mapping[str, int]:
    """Count open and overdue exports."""
    every = [each for each in listed(view) if each.open]
    return {"open": len(every), "overdue": sum(each.overdue(view.now) for each in every)}


def confirm(desk: Desk, ident: str, actor: Actor) -> Export:
    """Say that an export was deleted everywhere: whoever took it, the officer or IT may.

    Raises:
        NotFound: There is none of this id.
        Conflict: It was confirmed already.
        InvalidInput: It is somebody else's, and this role may not.
    """
    while True:
        with desk.store.look() as view:
            export, mine = found(view, ident), desk.account(actor)
            if not export.open:
                raise Conflict("its deletion is confirmed already", "nothing was changed")
            same = mine.partition("/")[2] == export.account.partition("/")[2]
            if not same and actor.role not in MAY_CONFIRM:
                raise InvalidInput("this export is somebody else's", "ask who took it, or IT")
            said = events.AccessActed(
                "ended", ident, "jit", account=export.account, action="export"
            )
            prepared = desk.house_event(view, said, actor)
            done = replace(export, confirmed=view.now, by=mine)
        with desk.store.book() as tx:
            if found(tx, ident).open and not tx.append(prepared):
                put(tx, done)
                return done


def forget_old(desk: Desk) -> int:
    """Drop the rows of exports confirmed long ago; the house chain keeps their events."""
    with desk.store.look() as view:
        old = [e for e in listed(view) if e.confirmed and e.confirmed + KEEP_DAYS * DAY < view.now]
    for start in range(0, len(old), 500):
        with desk.store.book() as tx:
            for each in old[start : start + 500]:
                tx.put_row(TABLE, each.id.encode(), None)
    return len(old)
