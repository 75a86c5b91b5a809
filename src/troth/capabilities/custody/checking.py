"""What `troth ledger verify` looks at beside the tree: heads shown outside, keys, and every chain.

Nothing is decided here and nothing of a person is shown: what is found names entries alone.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from troth.capabilities.custody.rotation import (
    CONTINUED,
    DISOWNS,
    RETIRES,
    ROTATED,
    check_rotation,
)
from troth.capabilities.custody.signing import SIGNS, log_keys
from troth.errors import EvidenceBroken, Fault, InvalidInput, NotFound
from troth.kernel import events, ledger, proof
from troth.kernel.desk import Desk
from troth.kernel.ledger import Finding
from troth.kernel.vault import Shredded
from troth.ports import Anchor, View
from troth.terms import Body, PersonId

PAGE = 500
Watch = Callable[[int], None]
"""Told how many chains were walked so far."""


def check_anchors(view: View, anchors: Iterable[Anchor], origin: str) -> list[Finding]:
    """Hold every head ever shown outside against the tree as it is."""
    out = []
    for size, root in {(a.size, a.root) for a in anchors if a.origin == origin}:
        place = f"anchor {size}"
        if size > view.log.size:
            out.append(Finding("a head shown outside is larger than the ledger", place))
        elif ledger.tree_root(size, view.tile) != root:
            out.append(Finding("a head shown outside has another root than the entries", place))
    return sorted(out, key=lambda found: found.place)


def check_keys(view: View, entries: Iterable[tuple[int, bytes]]) -> list[Finding]:
    """Check that both keys signed every rotation, and that each key began and ended in public."""
    said = list(_statements(entries))
    out = [
        Finding("a new key was not signed by both keys", f"entry {seq}")
        for seq, leaf in said
        if leaf.get("type") == ROTATED and not _is_sound(leaf)
    ]
    begun = {leaf.get("key") for _, leaf in said if leaf.get("type") == ROTATED}
    ended = {leaf.get("key") for _, leaf in said if leaf.get("type") in {RETIRES, DISOWNS}}
    closed = {leaf.get("from") for _, leaf in said if leaf.get("type") == CONTINUED}
    origins: set[str] = set()
    for key in log_keys(view):
        name, place = key.key.name, f"key {key.secret}"
        if name in origins and key.vkey not in begun:
            out.append(Finding("a key was never announced in the ledger", place))
        if key.state != SIGNS and key.vkey not in ended and name not in closed:
            out.append(Finding("a key ended without a word in the ledger", place))
        origins.add(name)
    return out


def _is_sound(leaf: dict[str, str | int]) -> bool:
    try:
        return check_rotation(leaf)
    except (InvalidInput, KeyError):
        return False


def _statements(
    entries: Iterable[tuple[int, bytes]],
) -> Iterator[tuple[int, dict[str, str | int]]]:
    for seq, entry in entries:
        if entry[:1] == proof.PUBLIC and b'"log.' in entry:
            try:
                yield seq, dict(events.read_canonical(entry[1:]))
            except EvidenceBroken:
                continue


def check_chains(
    desk: Desk, entries: Mapping[int, bytes], watch: Watch = lambda _done: None
) -> list[Finding]:
    """Open every event that can be opened, compute its commitment anew, walk every chain.

    Of who was erased only the number of entries is left to count. About 60 µs an event.

    Args:
        desk: The workspace.
        entries: The ledger's private entries by place.
        watch: Told how many people were done.
    """
    out: list[Finding] = []
    counted = done = 0
    for people in _everybody(desk):
        for person in people:
            count, found = _chain(desk, person, entries)
            counted += count
            out += found
            done += 1
        watch(done)
    if counted != len(entries):
        out.append(
            Finding(
                f"{len(entries)} private entries, {counted} in the chains of people",
                "the chains together",
            )
        )
    return out


def _everybody(desk: Desk) -> Iterator[Sequence[PersonId]]:
    after: PersonId | None = None
    while True:
        with desk.store.look() as view:
            people = view.people(after, PAGE)
        if not people:
            return
        yield people
        after = people[-1]


def _chain(
    desk: Desk, person: PersonId, entries: Mapping[int, bytes]
) -> tuple[int, list[Finding]]:
    """Return how many entries a chain has, and what is wrong with it."""
    with desk.store.look() as view:
        head = desk.head(view, person)
        bodies = view.bodies(person)
        try:
            recorded = desk.scribe.chain(view, person)
        except Shredded:
            left = "an erased person's event is still there"
            return head.n, [Finding(left, f"entry {each.seq}") for each in bodies]
        except NotFound:
            return head.n, [Finding("the key of a chain is missing", _place(bodies))]
        except Fault as fault:
            return head.n, [Finding(fault.message, _place(bodies))]
    wrong = [
        Finding("an event is not the one that was committed to", f"entry {each.seq}")
        for each in recorded
        if entries.get(each.seq) != proof.private_entry(each.c)
    ]
    return head.n, wrong


def _place(bodies: Sequence[Body]) -> str:
    return f"the chain from entry {bodies[0].seq}" if bodies else "a chain without entries"
