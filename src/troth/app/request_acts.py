"""Requests that are done the moment they are asked: less data, only storing, no marketing.

The deed comes first, journalled and binding; then the request's whole life is booked at once, with
the digest of what a look afterwards found.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from troth.app import activity
from troth.app.requests import ACTIVITY, HOUSE, on_hold
from troth.app.workspace import Workspace
from troth.capabilities import custody, people, preferences, rights
from troth.capabilities.preferences.narrowing import marketing_roots
from troth.capabilities.rights.requests import Asked
from troth.capabilities.rights.requests_rules import Request
from troth.errors import InvalidInput, Unavailable
from troth.kernel import consent, events, restrictions
from troth.kernel.desk import everybody
from troth.terms import DENYING, Actor, ConsentStatus, PersonId

DECLARED: Final = ("interests",)
PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "activity": ACTIVITY,
    "marketing": (*ACTIVITY, "interests.declared", "level"),
}
"""What can be deleted without everything → what it takes."""


def delete_part(
    opened: Workspace, person: PersonId, part: str, actor: Actor, given_by: str = "self"
) -> Request:
    """Delete only activity, or all that serves marketing; the account stays.

    Args:
        opened: The workspace.
        person: Whose.
        part: `activity`, or `marketing`: interests, activity, and the level goes down to 1.
        actor: Who asks.
        given_by: As of a consent act.

    Raises:
        InvalidInput: No such part, or an order at law holds it back. Nothing was deleted.
        NotFound: Nothing is held under this id.
        Unavailable: A store did not answer; what was begun is finished by its follower.
    """
    if part not in PARTS:
        raise InvalidInput("there is no such part", f"name one of {', '.join(PARTS)}")
    with opened.store.look() as view:
        ids = everybody(view, person)
        if on_hold(view, ids):
            raise InvalidInput("an order at law holds this data back", "ask us about it")
        level = view.gather([person], None)[0].record.level
    activity.delete(opened, person, people.Choice("period"), actor, given_by)
    if part == "marketing":
        delete_declared(opened, person, "request")
        if level > 1:
            preferences.choose_level(opened.desk, person, 1, "", actor, given_by)
    left = _left_of(opened, ids, part)
    if left:
        raise Unavailable("not all of it is gone yet", "repeat it")
    report = events.canonical({"left": left, "part": part, "type": "request.check", "v": 1})
    asked = Asked("deletion", scope=PARTS[part], given_by=given_by)
    return rights.complete(opened.desk, person, asked, report, actor)


def _left_of(opened: Workspace, ids: Sequence[PersonId], part: str) -> int:
    """Count what of a part still opens."""
    vault = opened.desk.vault
    names = [f"{scope}/" for scope in ACTIVITY]
    names += DECLARED if part == "marketing" else ()
    with opened.store.look() as view:
        return sum(
            "/" not in row.field or not vault.is_gone(whose, row, view.now)
            for whose, rows in view.sealed(ids, names).items()
            for row in rows
        )


def only_store(
    opened: Workspace, person: PersonId, actor: Actor, given_by: str = "self"
) -> tuple[Request, int]:
    """Restrict at a person's wish; return the request and the number of the act's event.

    Raises as `rights.restrict` does.
    """
    desk = opened.desk
    rights.restrict(desk, person, "asked by the person", actor)
    n = _newest(opened, person)
    with opened.store.look() as view:
        seen = view.gather([person], None)[0].record.restricted
    asked = Asked("restriction", given_by=given_by)
    return rights.complete(desk, person, asked, _seen("restriction", (seen,)), actor), n


def no_marketing(
    opened: Workspace, person: PersonId, actor: Actor, given_by: str = "self"
) -> tuple[Request, int]:
    """Object to marketing on every channel; binding at the next decision.

    Raises as `preferences.record_choice` does.
    """
    desk = opened.desk
    with opened.store.look() as view:
        roots = marketing_roots(desk.house(view))
    n = 0
    for root in roots:
        objection = preferences.Choice(
            ConsentStatus.OBJECTED, root, ("*",), method="button", given_by=given_by, source="my"
        )
        n = preferences.record_choice(desk, person, objection, actor)[0].n
    with opened.store.look() as view:
        record, every = view.gather([person], None)[0].record, desk.house(view).purposes
        seen = [
            consent.resolve(record, every[root], way, view.now, every).status in DENYING
            for root in roots
            for way in (*sorted(every[root].channels), "")
        ]
    asked = Asked("objection", given_by=given_by)
    return rights.complete(desk, person, asked, _seen("objection", seen), actor), n


def _newest(opened: Workspace, person: PersonId) -> int:
    with opened.store.look() as view:
        return opened.desk.head(view, person).n


def _seen(right: str, found: Sequence[bool]) -> bytes:
    """Return the report of a look afterwards; raises where what was asked does not stand."""
    if not all(found):
        raise Unavailable("it does not stand yet", "repeat it", 1)
    return events.canonical({"right": right, "seen": True, "type": "request.check", "v": 1})


def delete_declared(
    opened: Workspace, person: PersonId, request: str, fields: Sequence[str] = DECLARED
) -> int:
    """Delete single values of a person under all their ids; return how many ids had any.

    Event, journal, rows, as of a retention: an older backup cannot bring them back.
    """
    with opened.store.look() as view:
        people = everybody(view, person)
    return sum(_deleted(opened, each, request, fields) for each in people)


def _deleted(opened: Workspace, person: PersonId, request: str, fields: Sequence[str]) -> bool:
    desk = opened.desk
    while True:
        with opened.store.look() as view:
            rows = view.sealed([person], list(fields)).get(person, [])
            gone = tuple(dict.fromkeys(row.field for row in rows))
            if not gone:
                return False
            said = events.RetentionApplied(gone, (), request)
            head = desk.head(view, person)
            prepared = desk.scribe.prepare(person, head, [said], HOUSE, view.now)
        with opened.store.book() as tx:
            seq = tx.size
            if tx.append(prepared):
                continue
            place = person + seq.to_bytes(8, "big")
            tx.put_row(custody.PENDING, place, msgspec.json.encode(gone))
        line = restrictions.line(person, said, seq)
        desk.journal.note_all([line] if line else [])
        custody.finish_retention(desk, person, opened.settle)
        return True
