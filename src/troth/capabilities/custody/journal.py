"""The restriction journal, made whole after a crash between commit and journal."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from troth.errors import EvidenceBroken
from troth.kernel import events, restrictions
from troth.kernel.desk import Desk
from troth.kernel.following import Due
from troth.kernel.vault import Shredded
from troth.ports import View
from troth.terms import (
    Channel,
    PersonId,
)

_Known = frozenset[tuple[str | int, ...]]


JOURNAL = "custody.journal"
BACKED_UP = "backup"
"""The act of a line that tells: here a backup was made."""
RESTORED = "restored"
"""The act of a line that tells: here a restore began, and ledger sequences with it."""


def keep_tip(desk: Desk) -> None:
    """Remember how long the restriction journal is and its newest MAC; see `guard_journal`."""
    tips = desk.journal.tips()
    if not tips:
        return
    tip = msgspec.json.encode([len(tips), tips[-1]])
    with desk.store.look() as view:
        if view.row(JOURNAL, b"tip") == tip:
            return
    with desk.store.book() as tx:
        tx.put_row(JOURNAL, b"tip", tip)


def mark_backup(desk: Desk, name: str) -> None:
    """Note in the journal that a backup is made, and in the record how far the journal reaches.

    So a backup remembers a line that every journal it may be restored with must hold.
    """
    with desk.store.look() as view:
        size = view.log.size
    desk.journal.note(BACKED_UP, {"backup": name}, size)
    keep_tip(desk)


def guard_journal(desk: Desk) -> None:
    """Refuse to go on with a restriction journal that lost lines since they were last seen.

    Raises:
        EvidenceBroken: Cut at its end, deleted or another one; a restore must not miss a line.
    """
    with desk.store.look() as view:
        raw = view.row(JOURNAL, b"tip")
    if raw is None:
        return
    count, mac = msgspec.json.decode(raw)
    tips = desk.journal.tips()
    if len(tips) < count or tips[count - 1] != mac:
        raise EvidenceBroken(
            f"the restriction journal had {count} lines, {len(tips)} are there or differ",
            "restore witness/ from its copy",
        )


def journal_missing(desk: Desk, due: Sequence[Due]) -> None:
    """Append the journal line of every restricting event that has none; repeatable.

    Reads the whole journal once. An erasure's line is known by the person, every other by act,
    ledger sequence and whom or which address it is about.

    Raises:
        Unavailable: The journal cannot be written.
        EvidenceBroken: Its chain is broken, or an event does not open.
    """
    known = _known(desk.journal.lines())
    lines: list[restrictions.Line] = []
    with desk.store.look() as view:
        for each in due:
            lines += _missing(desk, view, each, known)
    desk.journal.note_all(lines)


def _known(lines: Iterable[Mapping[str, str | int]]) -> _Known:
    """Name the lines there are: after a restore sequences begin anew, and only erasures go on."""
    found: set[tuple[str | int, ...]] = set()
    for line in lines:
        if line["act"] == RESTORED:
            found = {name for name in found if name[0] == restrictions.ERASURE}
        found.add(_name(line))
    return frozenset(found)


def _name(line: Mapping[str, str | int]) -> tuple[str | int, ...]:
    about = line.get("psid") or line.get("sup", "")
    if line["act"] == restrictions.ERASURE:
        return restrictions.ERASURE, about
    return line["act"], line["seq"], about


def _missing(desk: Desk, view: View, due: Due, known: _Known) -> list[restrictions.Line]:
    body = next((b for b in view.bodies(due.person) if b.n == due.n), None)
    if body is None:
        return []  # erased since, and the erasure has its own line
    if (restrictions.RESTRICTION, body.seq, due.person.hex()) in known:
        return []
    try:
        said = desk.scribe.read(body, view.now).event.payload
    except Shredded:
        return []
    found = _lines(view, due.person, said, body.seq)
    return [
        each for each in found if _name({"act": each[0], "seq": each[2], **each[1]}) not in known
    ]


def _lines(
    view: View, person: PersonId, said: events.Payload, seq: int
) -> list[restrictions.Line]:
    if isinstance(said, events.SuppressionAdded):
        return [
            restrictions.suppressed(gathered.contact.sup, block, seq)
            for channel in Channel
            for gathered in view.gather([person], channel)
            if gathered.contact
            for block in gathered.blocks
            if (block.reason, block.scope, block.value)
            == (said.reason, said.scope, said.value or "")
        ]
    line = restrictions.line(person, said, seq)
    if line is not None and line[0] == restrictions.ERASURE:
        line = (line[0], {**line[1], "fence_at": view.now}, line[2])
    return [line] if line else []
