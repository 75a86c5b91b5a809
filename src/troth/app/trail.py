"""A person's own trail: what was recorded of them, opened piece by piece, and its receipts.

Whoever shows it books the reading first (`owndata.note`). Places are of the person's own making:
chain 0 is the id that stayed, 1 and up those merged into it, each with its own numbers.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from troth.app.workspace import Workspace
from troth.capabilities import custody
from troth.errors import EvidenceBroken, NotFound
from troth.kernel import ledger, proof
from troth.kernel.desk import Desk, everybody
from troth.kernel.scribe import Recorded
from troth.ports import View
from troth.terms import Body, Head, PersonId


@dataclass(frozen=True, slots=True)
class Place:
    """Where an event of a person stands; opens nothing."""

    chain: int
    n: int
    seq: int

    @property
    def mark(self) -> str:
        """`n`, with the chain behind it where it is a merged id's: 12 or 12-1."""
        return f"{self.n}-{self.chain}" if self.chain else str(self.n)


def place_of(mark: str) -> tuple[int, int]:
    """Read a mark into number and chain; anything else is (0, 0), which no event has."""
    number, dash, chain = mark.partition("-")
    if not (_plain(number) and (not dash or (_plain(chain) and chain != "0"))):
        return 0, 0
    return int(number), int(chain or "0")


def _plain(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < _DIGITS and str(int(text)) == text


_DIGITS = 10


def places(opened: Workspace, person: PersonId) -> list[Place]:
    """Return where every event of a person stands, newest first; costs about 2 µs each."""
    with opened.store.look() as view:
        return sorted(
            (Place(chain, body.n, body.seq) for chain, body in _bodies(view, person)),
            key=lambda place: -place.seq,
        )


def _bodies(view: View, person: PersonId) -> Iterable[tuple[int, Body]]:
    for chain, whose in enumerate(everybody(view, person)):
        for body in view.bodies(whose):
            yield chain, body


def read(
    opened: Workspace, person: PersonId, wanted: Iterable[Place]
) -> list[tuple[Place, Recorded]]:
    """Open chosen events; about 50 µs each.

    Raises:
        Shredded: The person was erased.
        EvidenceBroken: An event is not the one its place says.
    """
    asked = {(each.chain, each.n): each for each in wanted}
    desk = opened.desk
    with opened.store.look() as view:
        found = {}
        for chain, whose in enumerate(everybody(view, person)):
            desk.vault.keys.key(whose, view.now)
            for body in view.bodies(whose):
                place = asked.get((chain, body.n))
                if place is not None:
                    found[place] = desk.scribe.read(body, view.now)
    return [(place, found[place]) for place in asked.values() if place in found]


@dataclass(slots=True)
class Trail:
    """A person's chains as read so far; a later look opens only what came since.

    Each event is checked against the one before it, as far as the chain's head.
    """

    _held: dict[PersonId, list[Recorded]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def look(self, opened: Workspace, person: PersonId) -> list[tuple[Place, Recorded]]:
        """Return every event of the person with its place, newest first.

        Raises:
            Shredded: The person was erased.
            EvidenceBroken: A chain does not hold.
        """
        desk = opened.desk
        with self._lock, opened.store.look() as view:
            ids = everybody(view, person)
            self._held = {whose: self._held.get(whose, []) for whose in ids}
            for whose in ids:
                self._grow(desk, view, whose)
            out = [
                (Place(chain, each.event.n, each.seq), each)
                for chain, whose in enumerate(ids)
                for each in self._held[whose]
            ]
        out.sort(key=lambda entry: -entry[0].seq)
        return out

    def _grow(self, desk: Desk, view: View, whose: PersonId) -> None:
        desk.vault.keys.key(whose, view.now)
        held = self._held[whose]
        head = view.gather([whose], None)[0].head
        if head.n == len(held) and (not held or head.c == held[-1].c):
            return
        fresh, prev = list(held), held[-1].c if held else b""
        for body in view.bodies(whose)[len(held) :]:
            each = desk.scribe.read(body, view.now)
            if body.n != len(fresh) + 1 or each.event.prev != proof.b64(prev):
                raise EvidenceBroken(f"the chain breaks before entry {body.seq}")
            fresh.append(each)
            prev = each.c
        if head != Head(len(fresh), prev):
            raise EvidenceBroken(f"a chain ends before its head at {head.n}")
        self._held[whose] = fresh


@dataclass(frozen=True, slots=True)
class Signed:
    """The newest signed head, verified; `note` is "" where nothing was signed."""

    note: str
    checkpoint: proof.Checkpoint

    def covers(self, place: Place) -> bool:
        """Tell whether an event lies under this head."""
        return place.seq < self.checkpoint.size


def signed(opened: Workspace) -> Signed:
    """Return the newest head receipts are written under, its signatures checked.

    Raises:
        EvidenceBroken: The signature does not hold.
    """
    signer = opened.signer
    with opened.store.look() as view:
        note = custody.newest_for_receipts(view, signer)
    if note is None:
        return Signed("", proof.Checkpoint(signer.origin, 0, proof.EMPTY_ROOT))
    return Signed(note, proof.verify_note(note, signer.own))


def proven(
    opened: Workspace, under: Signed, given: Sequence[tuple[Place, Recorded]]
) -> list[bool]:
    """Tell for each event whether the signed ledger holds it, by its own inclusion proof."""
    head = under.checkpoint
    out = []
    with opened.store.look() as view:
        tile = _remembering(view)
        for place, each in given:
            if not under.covers(place):
                out.append(False)
                continue
            path = ledger.inclusion_path(each.seq, head.size, tile)
            entry = proof.private_entry(each.c)
            proof.verify_inclusion(
                entry, index=each.seq, size=head.size, path=path, root=head.root
            )
            out.append(True)
    return out


def receipts(
    opened: Workspace, under: Signed, given: Sequence[tuple[Place, Recorded]]
) -> list[tuple[Place, str]]:
    """Write the receipts of events; "" for one that no signed head covers yet."""
    with opened.store.look() as view:
        tile = _remembering(view)
        return [
            (place, _receipt(each, under.note, tile) if under.covers(place) else "")
            for place, each in given
        ]


def receipt(opened: Workspace, person: PersonId, mark: str) -> tuple[Place, str]:
    """Write one receipt.

    Raises:
        NotFound: No event of this person has this number, or it is not signed yet.
        Shredded: The person was erased.
    """
    n, chain = place_of(mark)
    wanted = [each for each in places(opened, person) if (each.n, each.chain) == (n, chain)]
    if not wanted:
        raise NotFound("you have no receipt with this number", "take one from the list")
    found = receipts(opened, signed(opened), read(opened, person, wanted))
    if not found[0][1]:
        raise NotFound("this entry is not signed yet", "come back in a minute")
    return found[0]


Tiles = Callable[[int, int], bytes]


def _receipt(each: Recorded, note: str, tile: Tiles) -> str:
    return ledger.receipt(proof.event_extra(each.salt, each.raw), each.seq, note, tile)


def _remembering(view: View) -> Tiles:
    """Read each tile once."""
    had: dict[tuple[int, int], bytes] = {}

    def tile(level: int, number: int) -> bytes:
        if (level, number) not in had:
            had[level, number] = view.tile(level, number)
        return had[level, number]

    return tile
