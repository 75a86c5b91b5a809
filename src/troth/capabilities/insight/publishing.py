"""Published segments: `audience:NAME@version`, each text immutable, each with its event."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from troth import crypto
from troth.errors import Conflict, InvalidInput, NotFound
from troth.kernel import audience, events
from troth.kernel.desk import Desk, public
from troth.ports import View
from troth.terms import Actor, Instant, Published

PREFIX = "audience:"
SIZES = "insight.sizes"


@dataclass(frozen=True, slots=True)
class Size:
    """What a list may keep showing of a segment: how large, what the check said, of when."""

    band: str
    verdict: str
    at: Instant


def versions(view: View, name: str = "") -> list[Published]:
    """Return every published version of one segment, or of all, oldest first."""
    found = view.published_all(PREFIX + name)
    return [p for p in found if not name or p.name == PREFIX + name]


def newest(view: View) -> list[Published]:
    """Return the newest version of each segment, by name."""
    held = {p.name: p for p in versions(view)}
    return [held[name] for name in sorted(held)]


def read(published: Published, sensitive: frozenset[str]) -> audience.Audience:
    """Read a published segment.

    Raises:
        InvalidInput: It does not read, or names what may not be named any more.
    """
    try:
        text = published.data.decode()
    except UnicodeDecodeError:
        raise InvalidInput(f"{published.label} is not UTF-8", "publish it again") from None
    return audience.read_text(published.label, text, sensitive)


def publish(desk: Desk, wanted: audience.Audience, seen: int, actor: Actor) -> Published:
    """Publish a segment as its next version: version, event and public leaf in one commit.

    Args:
        desk: The desk.
        wanted: The segment, with a note where one had to be written.
        seen: Version it was written from; 0 where there was none.
        actor: Who publishes.

    Raises:
        Conflict: Somebody published another version meanwhile; nothing was kept.
        NotFound: Its purpose is not published.
    """
    name, data = PREFIX + wanted.name, audience.written(wanted).encode()
    digest = crypto.sha256(data).hex()
    while True:
        with desk.store.look() as view:
            if wanted.purpose not in desk.house(view).purposes:
                raise NotFound("its purpose is not published", "choose a published purpose")
            held = view.published(name)
            version = held.version if held else 0
            if version != seen:
                raise Conflict(
                    f"{name} is at version {version} by now, you began from {seen}",
                    "look at what changed, then publish again",
                )
            told = events.HousePublished(f"{name}@{version + 1}", digest)
            prepared = desk.house_event(view, told, actor)
            house = view.house_version
        with desk.store.book(house) as tx:
            if tx.append(prepared):
                continue
            made = tx.publish(name, digest, data)
            statement = {"type": "policy.published", "name": made.label}
            tx.state(public({**statement, "hash": f"sha256:{digest}"}, tx.now))
            return made


def note_size(desk: Desk, name: str, size: Size) -> None:
    """Keep what a list shows of a segment; a band of powers of ten, no count."""
    raw = msgspec.json.encode([size.band, size.verdict, size.at])
    with desk.store.book() as tx:
        tx.put_row(SIZES, name.encode(), raw)


def size_of(view: View, name: str) -> Size | None:
    """Return what was last kept of a segment's size."""
    raw = view.row(SIZES, name.encode())
    return Size(*msgspec.json.decode(raw)) if raw else None


def noted(wanted: audience.Audience, note: str) -> audience.Audience:
    """Return the segment with a note, or without one."""
    return replace(wanted, note=" ".join(note.split()))


def used_by(published: Sequence[Published], name: str) -> list[str]:
    """Name what is published and names a segment in its text: campaigns and plans."""
    sought = (PREFIX + name).encode()
    kinds = ("campaign:", "plan:", "newsletter:")
    return sorted({p.name for p in published if p.name.startswith(kinds) and sought in p.data})
