"""Requests that are done the moment they are asked: less data, only storing, no marketing.

The deed comes first, journalled and binding; then the request's whole life is booked at once, with
the digest of what a look afterwards found.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from troth.app import activity, intake, request_letters
from troth.app.requests import ACTIVITY, BY_REQUEST, HOUSE, on_hold
from troth.app.workspace import Workspace
from troth.capabilities import custody, people, preferences, rights
from troth.capabilities.preferences.narrowing import marketing_roots
from troth.capabilities.rights.requests import Asked
from troth.capabilities.rights.requests_rules import NEVER, Request
from troth.capabilities.rights.restricting import OWN, PERSON
from troth.errors import InvalidInput, Unavailable
from troth.kernel import consent, events, restrictions
from troth.kernel.desk import everybody
from troth.terms import DENYING, Actor, ConsentStatus, Instant, PersonId

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
    if _left_of(opened, ids, "activity"):
        activity.delete(opened, person, people.Choice("period"), actor, given_by)
    if part == "marketing":
        delete_declared(opened, person, BY_REQUEST)
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
    opened: Workspace,
    person: PersonId,
    actor: Actor,
    given_by: str = "self",
    came: Instant = NEVER,
) -> tuple[Request, int]:
    """Restrict at a person's wish; return the request and the number of the act's event.

    Where their own wish stands already, nothing is written and that one is returned, with 0 for
    an event that lies under another of their ids.

    Args:
        opened: The workspace.
        person: Whose.
        actor: Who asks.
        given_by: As of a consent act.
        came: When it was asked, where that was earlier.

    Raises as `rights.restrict` does.
    """
    desk = opened.desk
    with opened.store.look() as view:
        own = rights.holds(desk, view, person).get(PERSON)
    before = _done_before(opened, person, "restriction") if own else None
    if own is not None and before is not None:
        return before, own.n if own.person == person else 0
    if own is None:
        rights.restrict(desk, person, OWN, actor)
    n = _newest(opened, person) if own is None else own.n
    with opened.store.look() as view:
        seen = view.gather([person], None)[0].record.restricted
    asked = Asked("restriction", received=came, given_by=given_by)
    return rights.complete(desk, person, asked, _seen("restriction", (seen,)), actor), n


def no_marketing(
    opened: Workspace,
    person: PersonId,
    actor: Actor,
    given_by: str = "self",
    came: Instant = NEVER,
) -> tuple[Request, int]:
    """Object to marketing on every channel; binding at the next decision.

    Where an objection stands everywhere already, nothing is written and that one is returned, with
    0 for an event.
    Takes what `only_store` takes; raises as `preferences.record_choice` does.
    """
    desk = opened.desk
    with opened.store.look() as view:
        roots = marketing_roots(desk.house(view))
    before = _done_before(opened, person, "objection")
    if before is not None and set(_standing(opened, person, roots)) == {ConsentStatus.OBJECTED}:
        return before, 0
    n = 0
    for root in roots:
        objection = preferences.Choice(
            ConsentStatus.OBJECTED, root, ("*",), method="button", given_by=given_by, source="my"
        )
        n = preferences.record_choice(desk, person, objection, actor)[0].n
    seen = [status in DENYING for status in _standing(opened, person, roots)]
    asked = Asked("objection", received=came, given_by=given_by)
    return rights.complete(desk, person, asked, _seen("objection", seen), actor), n


def _standing(opened: Workspace, person: PersonId, roots: Sequence[str]) -> list[ConsentStatus]:
    """Return how each root of marketing stands, channel by channel."""
    with opened.store.look() as view:
        record, every = view.gather([person], None)[0].record, opened.desk.house(view).purposes
        return [
            consent.resolve(record, every[root], way, view.now, every).status
            for root in roots
            for way in (*sorted(every[root].channels), "")
        ]


def _done_before(opened: Workspace, person: PersonId, right: str) -> Request | None:
    """Return the newest request of a right that was done; None where there is none."""
    with opened.store.look() as view:
        found = rights.requests_of(opened.desk, view, person)
    done = [each for each in found if each.right == right and each.state == "fulfilled"]
    return max(done, key=lambda each: each.steps[0].at, default=None)


def adopt(
    opened: Workspace, person: PersonId, place: str, actor: Actor, given_by: str = "self"
) -> Request:
    """Make a request of what was asked outside: its person says that it was they.

    Counts from the day it was asked. A stop binds before this returns.

    Raises:
        NotFound: Nothing of the kind waits under their address.
        Unavailable: They asked too often today; it waits.
    """
    found = intake.named(opened, person, place)
    stop = _STOPS.get(found.right)
    if stop is not None:
        made, _ = stop(opened, person, actor, given_by, found.asked)
    else:
        asked = Asked(
            found.right, "form", (), found.text, found.asked, key=place, given_by=given_by
        )
        made = rights.open_request(opened.desk, person, asked, actor)
        request_letters.write(opened, person, made, "opened")
    intake.drop(opened, found)
    return made


_STOPS: Final = {"objection": no_marketing, "restriction": only_store}


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
