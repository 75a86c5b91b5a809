"""Behaviour of many people as columns of bytes: cut to what was agreed, never line by line.

For a copy that holds millions of lines no line becomes an object: numbers stay big-endian as they
were sealed, words become places in lists. `vault.Vault.open_columns` fills it, permit by permit.
"""

import struct
from bisect import bisect_left
from dataclasses import dataclass, field
from functools import lru_cache

import msgspec

from troth.errors import EvidenceBroken
from troth.terms import PersonId

HEAD = struct.Struct(">BII")
WIDTH = 25
"""Bytes of one event over all columns: at 8, kind 1, item 4, amount 8, units 4."""


class _Words(msgspec.Struct):
    currency: str
    groups: list[str]
    item_group: list[int]
    items: list[msgspec.Raw]


_words = msgspec.json.Decoder(_Words).decode


@dataclass(slots=True)
class Columns:
    """What was opened of some people: one run of lines a chunk, oldest first.

    Attributes:
        people: Whose each run is; nobody has a run of no lines.
        runs: How many lines each has.
        at: Per run, instants in UTC microseconds, eight bytes each; so are `minor`.
        item: Per run, places among the run's items, four bytes each; so are `units`, signed.
        sizes: Per run, how many items it has.
        item_groups: For all runs, per item its place in `groups`.
        currencies: Per run, its place in `money`.
    """

    people: list[PersonId] = field(default_factory=list)
    runs: list[int] = field(default_factory=list)
    at: list[bytes] = field(default_factory=list)
    item: list[bytes] = field(default_factory=list)
    minor: list[bytes] = field(default_factory=list)
    units: list[bytes] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    item_groups: list[int] = field(default_factory=list)
    currencies: list[int] = field(default_factory=list)
    groups: dict[str, int] = field(default_factory=dict)
    money: dict[str, int] = field(default_factory=dict)

    def take(self, person: PersonId, plain: bytes, since: int, form: int) -> None:
        """Take a chunk's events from an instant on; older ones are left where they are.

        Raises:
            EvidenceBroken: It is no chunk of this form.
        """
        start, count, tail = _frame(plain, form)
        if not count:
            return
        skip = 0
        if int.from_bytes(plain[start : start + 8], "big", signed=True) < since:
            skip = bisect_left(_instants(count).unpack_from(plain, start), since)
            if skip == count:
                return
        items = start + 9 * count
        minor = items + 4 * count
        units = minor + 8 * count
        groups, named = self.groups, tail.groups
        try:
            places = [groups.setdefault(named[n], len(groups)) for n in tail.item_group]
        except IndexError:
            raise EvidenceBroken("a behaviour chunk is not whole") from None
        self.people.append(person)
        self.runs.append(count - skip)
        self.at.append(plain[start + 8 * skip : start + 8 * count])
        self.item.append(plain[items + 4 * skip : minor])
        self.minor.append(plain[minor + 8 * skip : units])
        self.units.append(plain[units + 4 * skip : units + 4 * count])
        self.sizes.append(len(places))
        self.item_groups += places
        self.currencies.append(self.money.setdefault(tail.currency, len(self.money)))

    def forget(self, person: PersonId) -> None:
        """Give back what was taken of the person taken last."""
        while self.people and self.people[-1] == person:
            del self.item_groups[len(self.item_groups) - self.sizes.pop() :]
            for column in (self.people, self.runs, self.at, self.item, self.minor, self.units,
                           self.currencies):  # fmt: skip
                column.pop()


def _frame(plain: bytes, form: int) -> tuple[int, int, _Words]:
    """Return where columns begin, how many events there are, and the words."""
    start = HEAD.size
    if len(plain) < start:
        raise EvidenceBroken("a behaviour chunk is not whole")
    version, count, tail = HEAD.unpack_from(plain)
    if version != form or len(plain) != start + count * WIDTH + tail:
        raise EvidenceBroken("a behaviour chunk is not whole")
    try:
        words = _words(memoryview(plain)[start + count * WIDTH :])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise EvidenceBroken("a behaviour chunk is not whole") from None
    if len(words.items) != len(words.item_group) or (
        words.item_group and min(words.item_group) < 0
    ):
        raise EvidenceBroken("a behaviour chunk is not whole")
    return start, count, words


@lru_cache(maxsize=1024)
def _instants(count: int) -> struct.Struct:
    return struct.Struct(f">{count}q")
