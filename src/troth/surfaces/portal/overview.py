"""The first screen: what is held, what was allowed, who else has it; one card per category.

What is held is read from the vault by the person's own eyes; since when and from where stands in
the events of their own chain. Counting activity opens none of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from troth import app as house
from troth.app import owndata
from troth.capabilities import custody, people, preferences, rights
from troth.kernel import consent, events, retention
from troth.kernel.desk import everybody
from troth.kernel.house import parse_toml
from troth.ports import View
from troth.surfaces.portal import notices, said
from troth.surfaces.portal.catalogue import N_
from troth.surfaces.portal.frame import Visit, portal_page, visiting
from troth.surfaces.web.parts import Hub
from troth.terms import (
    SECOND,
    Action,
    Instant,
    PersonId,
    PurposeKind,
    from_zulu,
)

READ = ["GET", "HEAD"]
VALUES: Final = (
    "name.given", "name.family", "birth.year", "contact.email", "contact.sms", "contact.post",
    "interests", "external.id",
)  # fmt: skip
BEHAVIOUR: Final = owndata.SCOPES
_ALLOWED: Final = frozenset({PurposeKind.MARKETING, PurposeKind.PERSONALISE})
_HANDED_ON: Final = frozenset({Action.SHARE, Action.EXPORT})
_WHERE: Final[Mapping[str, str]] = {
    "identity.name": "/my/correct",
    "identity.age": "/my/correct",
    "contact.email": "/my/correct",
    "contact.phone": "/my/correct",
    "contact.post": "/my/correct",
    "interests.declared": "/my/preferences",
    "purchases": "/my/activity",
    "purchases.sensitive": "/my/activity",
    "views": "/my/activity",
    "facts": "/my/correct",
}
"""Category → where one changes or deletes it."""


@dataclass(frozen=True, slots=True)
class Card:
    """What is held of one category.

    Attributes:
        shown: The values themselves, or how many entries.
        why: Titles of the purposes that may use it now.
        until: When it goes, in words.
        full: How many of staff could be shown it in full; `masked`, in part.
    """

    category: str
    title: str
    shown: Sequence[str]
    why: Sequence[str]
    since: str
    source: str
    until: str
    full: int
    masked: int
    href: str


@dataclass(slots=True)
class History:
    """What a chain tells about where things came from; oldest first.

    Attributes:
        since: Category → when it was first taken down.
        counts: Behaviour scope → entries taken in less those deleted.
        uncounted: Scopes of which an event does not say how many entries came or went.
        shared: How often it was decided to hand something on to somebody outside.
    """

    since: dict[str, Instant] = field(default_factory=dict)
    source: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    uncounted: set[str] = field(default_factory=set)
    shared: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at a person for the first screen."""

    history: History
    rows: Mapping[str, retention.Row]
    uses: Mapping[str, Sequence[str]]
    allowed: int


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the first screen."""

    @app.api_route("/my", methods=READ, include_in_schema=False)
    def first(request: Request) -> Response:
        visit = visiting(hub, request)
        values = owndata.values(hub.ws, visit.eyes, VALUES)
        owndata.note(hub.ws, visit.eyes, "overview")
        seen = _look(hub, visit)
        cards = list(_cards(hub, visit, values, seen))
        return portal_page(
            hub, request, visit, "my_overview.html", "overview",
            name=values.get("name.given", ""),
            cards=cards,
            things=len(cards),
            allowed=seen.allowed,
            shared=seen.history.shared,
            stored=_stored(hub, visit),
            others=_others(hub, visit),
            waiting=_waiting(hub, visit),
            changed=notices.waiting(hub, visit),
            unsure=doubt(hub, visit),
        )  # fmt: skip


def doubt(hub: Hub, visit: Visit) -> str:
    """Say before when it is not known what the person took back; "" nothing is in doubt."""
    with hub.ws.store.look() as view:
        before = preferences.doubt(hub.ws.desk, view, visit.person)
    if not before:
        return ""
    return visit.gettext(
        "We could not make sure of what you agreed to before %(day)s; nothing is sent until you"
        " say so again.",
        day=visit.day(before),
    )


def _others(hub: Hub, visit: Visit) -> bool:
    """Tell whether the viewer acts for anybody."""
    with hub.ws.store.look() as view:
        return any(not each.mine for each in people.links(view, visit.viewer))


def _waiting(hub: Hub, visit: Visit) -> bool:
    """Tell whether a request was made in the person's name that they have not owned to."""
    with hub.ws.store.look() as view:
        found = rights.requests_of(hub.ws.desk, view, visit.person)
    return any(each.state == "identity_pending" for each in found)


def _stored(hub: Hub, visit: Visit) -> Sequence[tuple[str, str]]:
    """Say where and how it is stored: what the house has published, and what is true of each."""
    with hub.ws.store.look() as view:
        found = view.published("house")
    told = parse_toml("troth.toml", found.data).get("storage", {}) if found else {}
    unknown = visit.gettext("not stated by the company")
    code, days = str(told.get("country", "")), told.get("backup_days")
    backup = unknown
    if type(days) is int:
        backup = visit.ngettext(
            "kept for %(n)s day; what you delete goes from them by then",
            "kept for %(n)s days; what you delete goes from them by then",
            days,
        )
    protection = visit.gettext(
        "Sealed with a key of your own (AES-256). Each look and each change is written down"
        " and cannot be altered unseen."
    )
    return (
        (visit.gettext("System"), visit.gettext(str(told.get("system", ""))) or unknown),
        (visit.gettext("Country"), said.country(visit.tongue, code) if code else unknown),
        (visit.gettext("Protection"), protection),
        (visit.gettext("Backups"), backup),
        (visit.gettext("Delivery"), _delivery(hub, visit)),
    )


def _delivery(hub: Hub, visit: Visit) -> str:
    """Say through whose hands a message goes: its address and words, nothing else."""
    relay = hub.ws.settings.relay_host
    if relay in {"localhost", "127.0.0.1", "::1"}:
        return visit.gettext("Our own mail system hands messages to your mailbox's.")
    return visit.gettext(
        "%(relay)s delivers our messages and sees the address and the message of each.",
        relay=relay,
    )


def _look(hub: Hub, visit: Visit) -> Seen:
    desk = hub.ws.desk
    with desk.store.look() as view:
        ids = everybody(view, visit.person)
        heads = tuple((g.person, g.head.n) for g in view.gather(ids, None))
        kept: tuple[object, Seen] | None = visit.session.kept.get(_kept(visit))
        place = (heads, view.house_version)
        if kept is not None and kept[0] == place:
            return kept[1]
        history = History()
        rows: dict[str, retention.Row] = {}
        for whose in reversed(ids):
            _fold(hub, view, whose, history)
            rows |= {row.field: row for row in custody.retention_of(desk, view, whose)}
        seen = Seen(history, rows, *_uses(hub, view, visit))
    visit.session.kept[_kept(visit)] = (place, seen)
    return seen


def _kept(visit: Visit) -> str:
    return f"overview:{visit.person.hex()}"


def _fold(hub: Hub, view: View, person: PersonId, into: History) -> None:
    category = hub.ws.desk.vault.category
    for recorded in hub.ws.desk.scribe.chain(view, person):
        told, at = recorded.event.payload, recorded.event.at
        if isinstance(told, events.ValuesSealed):
            _note(into, (category(name) for name in told.rows), at, told.source)
        elif isinstance(told, events.ContactAdded):
            _note(into, (category(told.field),), at, told.source)
        elif isinstance(told, events.BehaviourRecorded):
            _count(into, told, at)
        elif isinstance(told, events.BehaviourDeleted):
            _change(into, told.chunks, -told.count)
        elif isinstance(told, events.RetentionApplied):
            into.uncounted |= _scopes(told.scopes)
        elif isinstance(told, (events.FactsRecorded, events.PersonCreated)):
            _note(into, ("facts",), at, told.source)
        elif isinstance(told, events.UsePermitted):
            into.shared += told.action in _HANDED_ON


def _note(into: History, categories: Iterable[str], at: Instant, source: str) -> None:
    for name in categories:
        into.since.setdefault(name, at)
        into.source[name] = source


def _count(into: History, told: events.BehaviourRecorded, at: Instant) -> None:
    for scope in _scopes(told.chunks):
        into.since[scope] = min(into.since.get(scope, at), from_zulu(told.first))
        into.source[scope] = told.source
    _change(into, told.chunks, told.count)


def _change(into: History, places: Iterable[str], count: int) -> None:
    """Count entries of one scope; of those of several nobody said how many each has."""
    scopes = _scopes(places)
    if len(scopes) > 1:
        into.uncounted |= scopes
        return
    for scope in scopes:
        into.counts[scope] = into.counts.get(scope, 0) + count


def _scopes(places: Iterable[str]) -> set[str]:
    return {place.partition("/")[0] for place in places}


def _uses(hub: Hub, view: View, visit: Visit) -> tuple[Mapping[str, Sequence[str]], int]:
    """Return per category the purposes that may use it now, and how many the person allowed."""
    house = hub.ws.desk.house(view)
    out: dict[str, list[str]] = {}
    allowed = 0
    for purpose in house.purposes.values():
        open_now = purpose.kind in (PurposeKind.SERVICE, PurposeKind.OPERATIONS)
        categories = set(purpose.categories)
        if purpose.kind in _ALLOWED:
            ways: list[str] = [*sorted(purpose.channels)] or [""]
            open_now = any(
                consent.counts(
                    consent.resolve(visit.record, purpose, way, view.now, house.purposes), house
                )
                for way in ways
            )
            allowed += open_now
            categories &= consent.level_categories(visit.record, house, view.now, "") or set()
        if open_now:
            for name in categories | {_address(way) for way in purpose.channels}:
                out.setdefault(name.removesuffix(".13w").removesuffix(".52w"), []).append(
                    purpose.title
                )
    return {name: sorted(set(titles)) for name, titles in out.items()}, allowed


def _address(channel: str) -> str:
    return {"email": "contact.email", "post": "contact.post", "push": "contact.push"}.get(
        channel, "contact.phone"
    )


def _cards(hub: Hub, visit: Visit, values: Mapping[str, str], seen: Seen) -> Iterable[Card]:
    category = hub.ws.desk.vault.category
    shown: dict[str, list[str]] = {}
    for name in VALUES:
        if values.get(name):
            shown.setdefault(category(name), []).append(values[name].replace(";", ", "))
    if "identity.name" in shown:
        shown["identity.name"] = [" ".join(shown["identity.name"])]
    for scope in BEHAVIOUR:
        held = any(row.startswith(f"{scope}/") for row in seen.rows)
        if held:
            shown[scope] = [_entries(visit, seen.history, scope)]
    shown["facts"] = list(_facts(visit))
    for name, texts in shown.items():
        yield _card(hub, visit, name, texts, seen)


def _entries(visit: Visit, history: History, scope: str) -> str:
    count = history.counts.get(scope, 0)
    if count <= 0 or scope in history.uncounted:
        return visit.gettext(N_("Entries you can look through"))
    return visit.ngettext("%(n)s entry", "%(n)s entries", count)


def _facts(visit: Visit) -> Iterable[str]:
    record = visit.record
    if record.residence:
        yield visit.gettext(
            "You live in %(place)s", place=said.country(visit.tongue, record.residence)
        )
    if record.age:
        adult = record.age == "adult"
        yield visit.gettext(N_("You are of age") if adult else N_("You are under 18"))
    if record.subject == "juristic":
        yield visit.gettext("You are an organisation")
    sales = [r.at for r in record.relations if r.kind == "sale"]
    if sales:
        yield visit.gettext("You last bought on %(day)s", day=visit.day(Instant(max(sales))))
    if record.relations and not sales:
        last = max(r.at for r in record.relations)
        yield visit.gettext("You last asked us something on %(day)s", day=visit.day(Instant(last)))
    if not record.residence:
        yield visit.gettext("We do not know where you live")


def _card(hub: Hub, visit: Visit, name: str, texts: Sequence[str], seen: Seen) -> Card:
    since = seen.history.since.get(name)
    full, masked = _seers(hub, name) if name != "facts" else (0, 0)
    return Card(
        name,
        visit.gettext(said.THINGS.get(name, name)),
        texts,
        [visit.gettext(title) for title in seen.uses.get(name, ())],
        visit.day(since) if since else "",
        said.source(visit.tongue, seen.history.source.get(name, "")),
        _until(visit, name, seen),
        full,
        masked,
        _WHERE.get(name, ""),
    )


def _seers(hub: Hub, category: str) -> tuple[int, int]:
    """Count who of staff could be shown a category; the same count serves for half a minute."""
    now = hub.kept["office"].clock.now()
    kept: dict[str, tuple[int, tuple[int, int]]] = hub.kept.setdefault("seers", {})
    until, found = kept.get(category, (0, (0, 0)))
    if now >= until:
        found = house.exposure(hub.ws, category)
        kept[category] = (now + SEEN_FOR, found)
    return found


SEEN_FOR: Final = 30 * SECOND


def _until(visit: Visit, name: str, seen: Seen) -> str:
    """Say when the last of a category goes."""
    rows = [row for row in seen.rows.values() if _is_of(row.field, name)]
    if not rows:
        return visit.gettext("with the last of your data")
    last = max(row.until for row in rows)
    if last >= retention.NO_END:
        return visit.gettext("as long as your agreement or contract lasts")
    if last == 0:
        return visit.gettext("with the last of your data")
    return visit.gettext("%(day)s, unless something new happens", day=visit.day(last))


def _is_of(held: str, name: str) -> bool:
    scope = held.partition("/")[0] if "/" in held else ""
    return scope == name if scope else _FIELDS.get(held, "") == name


_FIELDS: Final = {
    "name.given": "identity.name", "name.family": "identity.name", "birth.year": "identity.age",
    "contact.email": "contact.email", "contact.sms": "contact.phone",
    "contact.post": "contact.post", "contact.push": "contact.push",
    "interests": "interests.declared", "external.id": "identity.official",
}  # fmt: skip
