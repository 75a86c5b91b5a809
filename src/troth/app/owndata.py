"""A person's own data, opened for themselves or for whom they act: asked of the gate and recorded.

One reading is one event per visit and category, booked before anything is opened; a category that
was read in this visit is asked of the gate again, and not booked again.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from troth.app.workspace import Workspace
from troth.capabilities import people
from troth.capabilities.access.reading import service_purpose
from troth.errors import NotFound, Unavailable
from troth.kernel import events, gate, telling
from troth.kernel.desk import Desk, everybody
from troth.kernel.facts import Facts
from troth.kernel.plans import MERGED
from troth.kernel.vault import Chunk
from troth.ports import View
from troth.terms import Action, Actor, PersonId, Refusal, Role, UseRequest

SCOPES = ("purchases", "views", "purchases.sensitive")
_TRIES = 8


@dataclass(slots=True)
class Eyes:
    """One visit: who looks at whose data, and what was already booked in it.

    Attributes:
        person: Whose data; the id that stayed after merges.
        viewer: Who looks.
        relation: self, or as what they act for the person.
        booked: Categories already booked as read in this visit.
    """

    person: PersonId
    viewer: PersonId
    relation: str = "self"
    booked: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def actor(self) -> Actor:
        """Who looks, as events name them."""
        return Actor(Role.PERSON, self.viewer.hex())


@dataclass(frozen=True, slots=True)
class Piece:
    """One chunk of activity, and the place it lies at."""

    person: PersonId
    scope: str
    row: int
    version: int
    chunk: Chunk


def values(opened: Workspace, eyes: Eyes, fields: Sequence[str]) -> dict[str, str]:
    """Open sealed values of the person, over all their ids; the id that stayed goes first.

    Raises:
        NotFound: The gate refuses: not their own, no mandate any more, or leaving.
        Shredded: The person was erased.
    """
    out: dict[str, str] = {}
    for held in copies(opened, eyes, fields).values():
        out = {**held, **out}
    return out


def copies(opened: Workspace, eyes: Eyes, fields: Sequence[str]) -> dict[PersonId, dict[str, str]]:
    """Open sealed values as each id of the person holds them; raises as `values` does."""
    keys, vault = opened.desk.vault.keys, opened.desk.vault
    found = permits(opened, eyes, frozenset(vault.category(name) for name in fields))
    out: dict[PersonId, dict[str, str]] = {}
    with opened.store.look() as view:
        for person, permit in found:
            keys.load([person], view.now)
            rows = view.sealed([person], list(fields)).get(person, [])
            out[person] = vault.open(permit, rows, view.now)
    return out


def behaviour(opened: Workspace, eyes: Eyes, scopes: Sequence[str] = SCOPES) -> list[Piece]:
    """Open the activity of the person, over all their ids; chunks whose key is gone are left out.

    Raises as `values` does.
    """
    keys, vault = opened.desk.vault.keys, opened.desk.vault
    found = permits(opened, eyes, frozenset(scopes))
    out: list[Piece] = []
    with opened.store.look() as view:
        for person, permit in found:
            keys.load([person], view.now)
            for row in view.sealed([person], [f"{s}/" for s in scopes]).get(person, []):
                if vault.is_gone(person, row, view.now):
                    continue
                scope = row.field.partition("/")[0]
                chunks = vault.open_chunks(permit, [row], scope, view.now)
                out += [Piece(person, row.field, row.row, row.version, each) for each in chunks]
    return out


def note(opened: Workspace, eyes: Eyes, what: str) -> None:
    """Book that something of the person that lies not in the vault is shown: events, receipts.

    Raises as `values` does.
    """
    permits(opened, eyes, frozenset(), (what,))


def mandate(view: View, person: PersonId, viewer: PersonId) -> str:
    """Return as what `viewer` acts for `person` now, "" where they do not (any more).

    A competent person acts for a minor: never for whom the record says is of age, or does not say,
    and no longer than to the end of the year in which the child turns 18, where the link says.
    """
    found = next((e for e in people.links(view, person) if e.mine and e.other == viewer), None)
    if found is None or (found.until and view.now >= found.until):
        return ""
    if found.relation == "competent_person":
        held = view.gather([person], None)
        if not held or held[0].record.age != "minor":
            return ""
    return found.relation


Permits = list[tuple[PersonId, gate.Permit]]


def permits(
    opened: Workspace, eyes: Eyes, categories: frozenset[str], shown: Sequence[str] = ()
) -> Permits:
    """Ask for every id of the person, book what this visit has not booked; return the permits.

    Args:
        opened: The workspace.
        eyes: The visit.
        categories: What is going to be opened.
        shown: Names of what is shown and lies not in the vault.

    Raises:
        NotFound: The gate refuses: not their own, no mandate any more, or leaving.
        Unavailable: Others kept writing; repeat.
    """
    with eyes.lock:
        for _ in range(_TRIES):
            found = _once(opened, eyes, categories, shown)
            if found is not None:
                return found
    raise Unavailable("others keep writing to this record", "repeat in a moment", 1)


def _once(
    opened: Workspace, eyes: Eyes, categories: frozenset[str], shown: Sequence[str]
) -> Permits | None:
    """Look, decide, book; None where the person's chain moved meanwhile."""
    desk = opened.desk
    with desk.store.look() as view:
        purpose = service_purpose(desk.house(view))
        known = view.gather([eyes.person], None)
        if not known:
            raise NotFound("nothing is held under this id")
        asked = UseRequest(
            eyes.actor, eyes.person, purpose, Action.READ, None, categories, view.now
        )
        answer, facts = _judged(desk, view, eyes, asked)
        fresh = tuple(n for n in (*sorted(categories), *shown) if n not in eyes.booked)
        said: events.Payload = events.DataRead(purpose, fresh, _reason(eyes))
        if isinstance(answer, Refusal):
            inputs = gate.inputs_digest(asked, facts)
            said = telling.refused(asked, answer, facts.house, inputs)
        elif not fresh:
            return _each(desk, view, eyes, asked)
        prepared = desk.scribe.prepare(eyes.person, known[0].head, [said], eyes.actor, view.now)
    with desk.store.book(facts.house.version) as tx:
        if tx.append(prepared):
            return None
    if isinstance(answer, Refusal):
        raise NotFound("this is not open to you", "come in again")
    eyes.booked.update(fresh)
    with desk.store.look() as view:
        return _each(desk, view, eyes, replace(asked, at=view.now))


def look(
    opened: Workspace, view: View, eyes: Eyes, categories: frozenset[str]
) -> gate.Permit | Refusal:
    """Ask the gate once more within a look, for what `permits` has booked."""
    purpose = service_purpose(opened.desk.house(view))
    asked = UseRequest(eyes.actor, eyes.person, purpose, Action.READ, None, categories, view.now)
    return _judged(opened.desk, view, eyes, asked)[0]


def _judged(
    desk: Desk, view: View, eyes: Eyes, asked: UseRequest
) -> tuple[gate.Permit | Refusal, Facts]:
    whose = asked.person or eyes.person
    known = view.gather([whose], None)
    acts = mandate(view, eyes.person, eyes.viewer) if eyes.viewer != eyes.person else ""
    if whose != eyes.person and (acts or eyes.viewer == eyes.person):
        acts = MERGED
    claim = desk.claim(asked, desk.house(view))
    facts = desk.facts(view, asked, claim, known[0] if known else None, mandate=acts)
    return gate.decide(asked, facts), facts


def _each(desk: Desk, view: View, eyes: Eyes, asked: UseRequest) -> Permits:
    """Return a permit for each id of the person: the one that stayed, and those merged into it."""
    out = []
    for whose in everybody(view, eyes.person):
        answer, _ = _judged(desk, view, eyes, replace(asked, person=whose))
        if not isinstance(answer, Refusal):
            out.append((whose, answer))
    return out


def _reason(eyes: Eyes) -> str:
    return "own data" if eyes.relation == "self" else eyes.relation
