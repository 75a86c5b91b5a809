"""The site wired: what a banner passes on, a collector sends, a slot shows; who signs in."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from troth import crypto
from troth.app.site_place import Goods, rules
from troth.app.workspace import Workspace
from troth.capabilities import merging, onsite, preferences
from troth.engines import ranking
from troth.errors import Conflict, InvalidInput, NotFound
from troth.kernel import consent, gate
from troth.kernel.desk import SYSTEM
from troth.kernel.facts import House
from troth.terms import (
    DAY,
    GRANTING,
    SECOND,
    Action,
    ConsentStatus,
    Instant,
    PersonId,
    PersonRecord,
    Refusal,
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an answer.

    Attributes:
        body: What is said back; names nobody.
        cookie: A token to set, "" to remove it, None to leave it.
    """

    body: Mapping[str, object]
    cookie: str | None = None


def visitor(opened: Workspace, device: str) -> onsite.Visitor | None:
    """Return whose browser carries this cookie."""
    with opened.store.look() as view:
        return onsite.find(opened.desk, view, device)


def right_to_write(opened: Workspace, right: onsite.Right) -> str:
    """Return a token for one answer; records nothing.

    Raises:
        InvalidInput: The session is no nonce.
    """
    if not onsite.is_nonce(right.session):
        raise InvalidInput("a session is 32 hex digits drawn for this page view")
    with opened.store.look() as view:
        return onsite.grant(opened.desk, right, view.now)


# Answers


def answer(
    opened: Workspace, told: onsite.Answer, right: onsite.Right, key: str, *, signal: bool
) -> Outcome:
    """Write what a banner passes on; the same write again gets its first answer.

    Args:
        opened: The workspace.
        told: The answer.
        right: What the request itself shows: origin, session, cookie, notice.
        key: The Idempotency-Key.
        signal: The browser says Global Privacy Control; then a yes is not taken.

    Raises:
        InvalidInput: No right to write it, or the notice does not speak of the purpose.
        Conflict: The key or the token was used for another write.
    """
    desk, known = opened.desk, rules()
    bare = msgspec.structs.replace(told, token="")
    digest = crypto.sha256(msgspec.json.encode([bare, right.origin]))
    with desk.store.look() as view:
        before = onsite.first_answer(desk, view, key, digest)
        if before is None or told.given:
            nonce = nonce_of(opened, right, told.token, view.now, again=before is not None)
        else:
            nonce = ""
        if before is not None:
            fresh = nonce and before.get("state") == "given" and not right.device
            cookie = onsite.drawn(desk, nonce, told.session) if fresh else None
            return Outcome(before, cookie if known.consents[told.purpose].begins else None)
        onsite.require_notice(view, told.purpose, told.notice)
    onsite.claim(desk, key, nonce, digest, known)
    if not told.given:
        made = ended(opened, told, right)
    else:
        made = closed(opened, told, right) if signal else given(opened, told, right, nonce)
    onsite.keep_answer(desk, key, digest, made.body, known)
    return made


def nonce_of(
    opened: Workspace, right: onsite.Right, token: str, now: Instant, *, again: bool
) -> str:
    """Return a token's nonce; "" for one that is worthless, where the write was answered before.

    Raises:
        InvalidInput: The token is worthless, and this is a new write.
    """
    try:
        return onsite.require(opened.desk, right, token, rules(), now)
    except InvalidInput:
        if again:
            return ""
        raise


def closed(opened: Workspace, told: onsite.Answer, right: onsite.Right) -> Outcome:
    """A yes under the opt-out signal is not taken; the signal is, if it is known whose."""
    found = visitor(opened, right.device)
    if found:
        opt_out(opened, found)
    return Outcome({"state": "off", "why": "gpc", "purpose": told.purpose})


def given(opened: Workspace, told: onsite.Answer, right: onsite.Right, nonce: str) -> Outcome:
    """Record a yes; one to the site itself makes an unknown browser a visitor."""
    desk, asked = opened.desk, rules().consents[told.purpose]
    found = visitor(opened, right.device)
    if found is None and not asked.begins:
        return Outcome({"state": "nobody", "purpose": told.purpose})
    person = found.keeper if found else onsite.begin(desk, told.notice, _language(opened, told))
    choice = preferences.Choice(
        ConsentStatus.GIVEN,
        told.purpose,
        (),
        notice=told.notice,
        method=told.method,
        proof=f"site:{crypto.sha256(nonce.encode()).hex()[:32]}",
        categories=_opened_by(opened, person, asked),
    )
    preferences.record_choice(desk, person, choice, onsite.as_person(person))
    _count(opened, f"yes {told.purpose}")
    body = {"state": "given", "purpose": told.purpose, "notice": told.notice}
    if found:
        return Outcome(body)
    token = onsite.drawn(desk, nonce, told.session)
    onsite.keep_device(desk, person, token, rules())
    return Outcome(body, token)


def _language(opened: Workspace, told: onsite.Answer) -> str:
    with opened.store.look() as view:
        found = view.published(f"notice:{told.notice}")
    return str(msgspec.json.decode(found.data)["language"]) if found else ""


def _opened_by(opened: Workspace, person: PersonId, asked: onsite.Asked) -> tuple[str, ...]:
    """Name what a yes covers: under the levels' own purpose, besides what stands there already."""
    if asked.purpose != consent.PERSONALISE:
        return asked.opens
    with opened.store.look() as view:
        found = view.gather([person], None)
        house = opened.desk.house(view)
        held = _standing(found[0].record, house, view.now) if found else ()
    return tuple(sorted({*held, *asked.opens}))


def _standing(record: PersonRecord, house: House, at: Instant) -> frozenset[str]:
    return consent.agreed_categories(record, house, at, after=house.unsure_before)


def ended(opened: Workspace, told: onsite.Answer, right: onsite.Right) -> Outcome:
    """Record a no; one to the site itself ends the visit, and deletes if that is wished."""
    desk, asked = opened.desk, rules().consents[told.purpose]
    found = visitor(opened, right.device)
    if found is None:
        return Outcome({"state": "nobody", "purpose": told.purpose}, "" if asked.begins else None)
    person, actor = found.keeper, onsite.as_person(found.keeper)
    alone = told.purpose == consent.PERSONALISE
    choice = preferences.Choice(
        _no(opened, person, told.purpose),
        told.purpose,
        () if alone else (consent.EVERY,),
        method=told.method,
        categories=asked.opens if alone else (),
    )
    preferences.record_choice(desk, person, choice, actor)
    _count(opened, f"no {told.purpose}")
    forgotten = 0
    if told.forget:
        for each in dict.fromkeys((found.person, person)):
            forgotten += onsite.forget(desk, each, onsite.as_person(each), opened.settle)
    if asked.begins:
        onsite.drop_device(desk, found.person, right.device)
    body = {"state": "ended", "purpose": told.purpose, "forgotten": forgotten}
    return Outcome(body, "" if asked.begins else None)


def _no(opened: Workspace, person: PersonId, purpose: str) -> ConsentStatus:
    """A no after a yes takes it back; a no to a question is a refusal."""
    with opened.store.look() as view:
        record = view.gather([person], None)[0].record
        house = opened.desk.house(view)
        stands = consent.resolve(record, house.purposes[purpose], "", view.now, house.purposes)
    return ConsentStatus.WITHDRAWN if stands.status in GRANTING else ConsentStatus.REFUSED


def _count(opened: Workspace, name: str, more: int = 1) -> None:
    with opened.store.book() as tx:
        onsite.tally(tx, onsite.day(tx.now), name, more)


def opt_out(opened: Workspace, found: onsite.Visitor) -> None:
    """Honour the browser's opt-out signal for whoever it is known to belong to; once a day."""
    if preferences.honour_signal(opened.desk, found.keeper):
        _count(opened, "gpc")


# Events, content, sign-in


def collect(opened: Workspace, raw: bytes, device: str, closed: Goods, *, signal: bool) -> int:
    """Take a batch of events in; return how many were kept. An unknown browser's are dropped.

    Raises:
        InvalidInput: The batch holds something that is not listed; nothing was kept.
        Conflict: Others kept writing; repeat.
    """
    known = rules()
    with opened.store.look() as view:
        found = onsite.find(opened.desk, view, device)
        now = view.now
    if signal:
        if found:
            opt_out(opened, found)
        return 0
    seen = onsite.kept(onsite.read_batch(raw, known, now), closed.items, closed.groups)
    if found is None:
        return 0
    for _ in range(_TRIES):
        try:
            return onsite.record(opened.desk, found.keeper, seen, _visit())
        except Conflict:
            continue
    raise Conflict("others keep writing to this record", "repeat in a moment")


_TRIES = 5


def _visit() -> int:
    return rules().limits["visit_s"] * SECOND


def content(
    opened: Workspace, shown: onsite.Slot, device: str, shelf: onsite.Shelf, *, signal: bool
) -> onsite.Shown:
    """Return what the browser with this cookie may be shown; the signal shows it the default."""
    found = visitor(opened, device) if device else None
    if found and signal:
        opt_out(opened, found)
    person = found.keeper if found and not signal else None
    return onsite.show(opened.desk, person, shown, shelf, _visit())


def plain_shelf(names: Mapping[str, str]) -> onsite.Shelf:
    """Return a shelf that compares nobody with others."""
    return onsite.Shelf(names, ranking.Alike(0, {}))


@dataclass(frozen=True, slots=True)
class Recognised:
    """Whether a visitor is linked to a customer now, and why not."""

    linked: bool
    why: tuple[str, ...] = ()


def identify(opened: Workspace, device: str, outside: str) -> Recognised:
    """Link a visitor to the customer they signed in as, if they agreed to be recognised.

    The decision is an event of the visitor; the link is one of both, undone by an un-merge, and
    leaves the stricter answer of both. Without the yes nothing is linked. A browser that leads to
    somebody else is forgotten as theirs, so that nobody sees another's.
    """
    desk = opened.desk
    with desk.store.look() as view:
        found = onsite.find(desk, view, device)
        customer = desk.find(view, outside)
        customer = desk.keeper(view, customer) if customer else None
    if found is None or customer is None:
        return Recognised(linked=False, why=("unknown_person",))
    if found.keeper == customer:
        return Recognised(linked=True)
    if found.recognised:
        onsite.drop_device(desk, found.person, device)
        return Recognised(linked=False, why=("another_person",))
    decided = onsite.ask(desk, found.person, onsite.RECOGNISE, Action.PROFILE, _visit())
    if not isinstance(decided, gate.Permit):
        return Recognised(linked=False, why=_codes(decided))
    try:
        merging.merge(desk, customer, found.person, "recognised at sign-in", SYSTEM)
    except (Conflict, NotFound):
        return Recognised(linked=False, why=("erasure_pending",))
    _count(opened, "recognised")
    return Recognised(linked=True)


def _codes(decided: Refusal | None) -> tuple[str, ...]:
    return (
        tuple(dict.fromkeys(str(r.code) for r in decided.reasons))
        if decided
        else ("unknown_person",)
    )


def finish(opened: Workspace) -> None:
    """Carry out what a crash left of a wish to forget."""
    onsite.finish(opened.desk, opened.settle)


def counts(opened: Workspace, days: int) -> Mapping[tuple[str, str], int]:
    """Return counts by day and name over the last days; see `onsite.tallies`."""
    with opened.store.look() as view:
        return onsite.tallies(view, onsite.day(Instant(view.now - days * DAY)))
