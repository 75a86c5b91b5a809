"""Where something of one person lies: exactly in this house, by mapping everywhere else.

It is a look at a person like any other: the gate is asked and the event stands in their chain
before anything is counted. No value is opened: rows, versions and places are counted. Sources that
are not ours are not asked; what a mapping says of them is told as that.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from troth.adapters.scanning import own
from troth.app import datamap
from troth.app.datamap_others import published
from troth.app.workspace import Workspace
from troth.capabilities.access.reading import Reading, book_reading
from troth.engines.datagraph import Store
from troth.errors import InvalidInput
from troth.kernel import events
from troth.kernel.desk import aliases, keeper, pointers
from troth.ports import View
from troth.terms import Actor, PersonId, Refusal

Sure = Literal["holds", "none", "may"]
"""It lies there; it does not; it may: nobody looked, or nobody can look without opening it."""
ALL: Final = ""
"""As category: everything held of the person."""


@dataclass(frozen=True, slots=True)
class Place:
    """One place, and whether the thing lies there.

    Attributes:
        part: Key of the part of the data map.
        count: Rows, copies or messages; 0 where they were not counted.
        said: What lies there in which form, never a value.
    """

    part: str
    title: str
    sure: Sure
    said: str
    count: int = 0


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where something of a person lies, as of the moment the question was recorded."""

    category: str
    places: tuple[Place, ...]
    ids: int


def categories(opened: Workspace) -> tuple[str, ...]:
    """Return what may be asked about: the house's categories, and those mappings bring."""
    mapped, _ = published(opened)
    found = {datamap.ours_of(c) for store in mapped.stores for c in store.held()}
    return tuple(sorted({*datamap.person_categories(), *found}))


def require_category(opened: Workspace, category: str) -> None:
    """Require a category that may be asked about, before anybody is searched for.

    Raises:
        InvalidInput: There is none of this name.
    """
    if category and category not in categories(opened):
        raise InvalidInput("there is no such category", "choose one of the list")


def where(
    opened: Workspace, person: PersonId, category: str, actor: Actor, reason: str
) -> Whereabouts | Refusal:
    """Say where something of a person lies; a look at them, recorded or refused first.

    Args:
        opened: The workspace.
        person: Whom it is about; merged ids count with them.
        category: A category of `categories`, or `ALL`.
        actor: Who asks.
        reason: The open case or request that contains the person, as `kind:id`.

    Raises:
        InvalidInput: There is no such category.
        Shredded: The person was erased.
    """
    require_category(opened, category)
    with opened.store.look() as view:
        kept = keeper(view, person)
    no = book_reading(opened.desk, Reading(kept, actor, (), reason))
    if no is not None:
        return no
    with opened.store.look() as view:
        ids = [kept, *aliases(view, kept)]
        found = [*_ours(opened, view, ids, category), *_theirs(opened, category)]
    return Whereabouts(category, tuple(found), len(ids))


def _ours(
    opened: Workspace, view: View, ids: Sequence[PersonId], category: str
) -> Iterator[Place]:
    rows = own.rows_of(opened.settings.record, ids)
    yield from _values(rows, category)
    if category in {ALL, *_ADDRESSES}:
        yield from _addresses(rows, category)
    if category == ALL:
        yield from _evidence(rows, view, ids)
    yield from _keys(opened, ids)
    yield from _copies(opened, rows)
    yield from _outside(opened, view, ids)


_ADDRESSES: Final[Mapping[str, str]] = {
    "contact.email": "email", "contact.phone": "sms", "contact.push": "push",
    "contact.post": "post",
}  # fmt: skip


def _category(field: str) -> str:
    """Return the category of a sealed field, or of a quarter of behaviour."""
    fields: Mapping[str, str] = datamap.taxonomy()["fields"]
    return fields.get(field, field.partition("/")[0])


def _values(rows: Sequence[own.Rows], category: str) -> Iterator[Place]:
    mine = [
        each
        for each in rows
        if each.table == "sealed" and (category == ALL or _covers(category, _category(each.what)))
    ]
    fields = [each for each in mine if "/" not in each.what]
    quarters = [each for each in mine if "/" in each.what]
    if fields:
        newest = max(each.versions for each in fields)
        names = ", ".join(each.what for each in fields)
        yield Place("record", "The record, sealed values", "holds",
                    f"{names}; the newest is version {newest}",
                    sum(each.count for each in fields))  # fmt: skip
    if quarters:
        names = ", ".join(sorted({each.what.rpartition("/")[2] for each in quarters}))
        yield Place("record", "The record, behaviour by quarter", "holds",
                    f"quarters {names}", sum(each.count for each in quarters))  # fmt: skip
    if not mine:
        yield Place("record", "The record", "none", "no value of this kind is held")


def _covers(asked: str, held: str) -> bool:
    """Tell whether a stored category answers a question: itself, or the one its window is cut of.

    >>> _covers("purchases.13w", "purchases"), _covers("contact.email", "contact.phone")
    (True, False)
    """
    return asked == held or asked.startswith(f"{held}.")


def _addresses(rows: Sequence[own.Rows], category: str) -> Iterator[Place]:
    wanted = set(_ADDRESSES.values()) if category == ALL else {_ADDRESSES[category]}
    held = [each for each in rows if each.table == "contact_point" and each.what in wanted]
    if held:
        yield Place("record", "The record, address digests", "holds",
                    "keyed digests to find and to leave out; they do not turn back",
                    len(held))  # fmt: skip


def _evidence(rows: Sequence[own.Rows], view: View, ids: Sequence[PersonId]) -> Iterator[Place]:
    bodies = sum(each.count for each in rows if each.table == "body")
    yield Place("record", "The record, events", "holds", "sealed, one by one", bodies)
    if facts := sum(each.count for each in rows if each.table == "fact"):
        yield Place("record", "The record, gate facts", "holds",
                    "dates, codes and agreements in clear", facts)  # fmt: skip
    tables: dict[str, int] = {}
    for person in ids:
        for table, _ in pointers(view, person):
            tables[table] = tables.get(table, 0) + 1
    if tables:
        said = ", ".join(f"{name} {count}" for name, count in sorted(tables.items()))
        yield Place("record", "The record, index rows", "holds", said, sum(tables.values()))


def _keys(opened: Workspace, ids: Sequence[PersonId]) -> Iterator[Place]:
    keys = opened.keys.rows(ids)
    live = [each for each in keys if each.wrapped]
    said = f"{len(live)} that open, {len(keys) - len(live)} destroyed"
    yield Place("keys", "The keys", "holds" if live else "none", said, len(live))


def _copies(opened: Workspace, rows: Sequence[own.Rows]) -> Iterator[Place]:
    s = opened.settings
    waiting = [each for each in rows if each.table == "job"]
    if waiting:
        kinds = ", ".join(sorted({each.what for each in waiting}))
        yield Place("spool", "Messages and work under way", "holds", kinds,
                    sum(each.count for each in waiting))  # fmt: skip
    if s.reach.is_dir():
        built = sorted(each.name for each in s.reach.iterdir() if each.name.isdigit())
        if built:
            yield Place("reach", "Audience copies", "may",
                        f"generations {', '.join(built)}, narrowed to what was agreed when each"
                        " was built; the next rebuild drops them", len(built))  # fmt: skip
    inbox = s.folder / "inbox"
    mails = sum(1 for _ in inbox.glob("*.eml")) if inbox.is_dir() else 0
    if mails:
        yield Place("spool", "The mailbox on this machine", "may",
                    "mails are not opened for this question", mails)  # fmt: skip
    days = s.storage.get("backup_days")
    said = f"made in the last {days} days" if days else "how long they are kept nobody wrote down"
    yield Place("backups", "Backups", "may", f"Backups {said}; sealed, without their keys")


def _outside(opened: Workspace, view: View, ids: Sequence[PersonId]) -> Iterator[Place]:
    """Say in which exports the person left, and how often a message went through a relay."""
    chain = [each for person in ids for each in opened.desk.scribe.chain(view, person)]
    exports = {
        p.export for each in chain
        if isinstance(p := each.event.payload, events.DataRead) and p.export
    }  # fmt: skip
    for name in sorted(exports):
        yield Place("exports", f"Export {name}", "may", "taken out; it expires, a copy may not")
    sent = sum(
        1
        for each in chain
        if isinstance(p := each.event.payload, events.MessageOutcome) and p.state in _GONE
    )
    if sent:
        yield Place("recipient:mail", "Whoever delivered messages", "may",
                    "passed on; logs of a relay are not ours to look into", sent)  # fmt: skip


_GONE: Final = frozenset({"handed", "unknown"})
"""States in which a message is, or may be, out of the house."""


# Other systems: by their mappings


def _theirs(opened: Workspace, category: str) -> Iterator[Place]:
    mapped, fault = published(opened)
    if fault:
        yield Place("", "Other systems", "may", f"their mappings do not read: {fault}")
    named = {str(said.get("mapping", n)): n for n, said in opened.settings.sources.items()}
    for key in sorted(named.keys() - {store.key for store in mapped.stores}):
        yield Place(f"source:{named[key]}", named[key], "may",
                    "no mapping describes it, so nobody knows; not asked")  # fmt: skip
    for store in mapped.stores:
        yield from _in_store(store, named.get(store.key, ""), category)


def _in_store(store: Store, name: str, category: str) -> Iterator[Place]:
    part = f"source:{name}" if name else f"store:{store.key}"
    found: dict[str, list[str]] = {}
    for collection in store.collections:
        for field in collection.fields:
            held = (*field.categories, *collection.categories, *store.categories)
            if any(_answers(category, each) for each in held):
                found.setdefault(collection.name, []).append(field.name)
    for collection in store.collections:
        if columns := found.get(collection.name):
            keys = [
                f.name for f in collection.fields
                if f.identity or f.references or "user.unique_id" in f.categories
            ]  # fmt: skip
            by = f"key column {', '.join(keys)}" if keys else "no key column is mapped"
            yield Place(part, f"{store.title}: {collection.name}", "may",
                        f"may hold it in {', '.join(columns[:8])}; {by}; not asked")  # fmt: skip


def _answers(category: str, theirs: str) -> bool:
    if category == ALL:
        return theirs.startswith("user")
    asked = datamap.theirs(category)
    ours = datamap.ours_of(theirs)
    return ours == category or (asked != "user" and f"{theirs}.".startswith(f"{asked}."))
