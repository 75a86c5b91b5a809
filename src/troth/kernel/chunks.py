"""Behaviour of one person in columns: the plain bytes of a chunk, before they are sealed."""

import struct
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Annotated, Any, TypedDict

import msgspec

from troth.errors import EvidenceBroken, InvalidInput
from troth.kernel import events

VERSION = 0x01
CHUNK_EVENTS = 4_096
_CHUNK_HEAD = struct.Struct(">BII")
_COLUMNS = (("at", "q"), ("kind", "B"), ("item", "I"), ("amount", "q"), ("units", "i"))
_WIDTH = struct.calcsize(">" + "".join(code for _, code in _COLUMNS))


@dataclass(frozen=True, slots=True)
class Chunk:
    """Up to `CHUNK_EVENTS` behaviour events of one person in columns.

    Attributes:
        at: Instants, UTC microseconds.
        kind: Index into `kinds`.
        item: Index into `items`.
        amount: Minor units of `currency`.
        units: How many; negative for a return.
        kinds: Words such as purchase, return, view.
        items: Item ids.
        groups: Product groups; `item_group` says which one each item belongs to.
        tail: Rare fields, canonical JSON values.
    """

    at: Sequence[int]
    kind: Sequence[int]
    item: Sequence[int]
    amount: Sequence[int]
    units: Sequence[int]
    kinds: tuple[str, ...]
    items: tuple[str, ...]
    groups: tuple[str, ...]
    item_group: tuple[int, ...]
    currency: str
    source: str
    tail: Mapping[str, str] = field(default_factory=dict)


def pack_chunk(chunk: Chunk) -> bytes:
    """Write a chunk: version, count, tail length, columns big-endian, tail as canonical JSON.

    Raises:
        InvalidInput: More than `CHUNK_EVENTS` events, columns of different lengths, not in order
            of time, or a number that has no room in its column.
    """
    count = len(chunk.at)
    columns = [getattr(chunk, name) for name, _ in _COLUMNS]
    if count > CHUNK_EVENTS or any(len(c) != count for c in columns):
        raise InvalidInput("a chunk's columns are too long or differ in length")
    if any(earlier > later for earlier, later in pairwise(chunk.at)):
        raise InvalidInput("a chunk's events are not in order of time")
    tail = _tail_encode(chunk)
    try:
        packed = [
            struct.pack(f">{count}{code}", *column)
            for (_, code), column in zip(_COLUMNS, columns, strict=True)
        ]
    except struct.error:
        raise InvalidInput("a number has no room in its column of a chunk") from None
    return _CHUNK_HEAD.pack(VERSION, count, len(tail)) + b"".join(packed) + tail


def unpack_chunk(plain: bytes) -> Chunk:
    """Read what `pack_chunk` writes.

    Raises:
        EvidenceBroken: Another version, lengths that do not add up, or a tail of another shape.
    """
    if len(plain) < _CHUNK_HEAD.size:
        raise EvidenceBroken("a behaviour chunk is not whole")
    version, count, tail_length = _CHUNK_HEAD.unpack_from(plain)
    start = _CHUNK_HEAD.size
    if version != VERSION or len(plain) != start + count * _WIDTH + tail_length:
        raise EvidenceBroken("a behaviour chunk is not whole")
    numbers = _columns(count).unpack_from(plain, start)
    columns = [numbers[i : i + count] for i in range(0, len(_COLUMNS) * count, count or 1)]
    return _tail_decode(columns or [()] * len(_COLUMNS), plain[start + count * _WIDTH :])


@lru_cache(maxsize=1024)
def _columns(count: int) -> struct.Struct:
    return struct.Struct(">" + "".join(f"{count}{code}" for _, code in _COLUMNS))


def since_then(chunk: Chunk, since: int) -> Chunk:
    """Return the part of a chunk from an instant on; its columns are in order of time."""
    start = bisect_left(chunk.at, since)
    if not start:
        return chunk
    return Chunk(
        chunk.at[start:],
        chunk.kind[start:],
        chunk.item[start:],
        chunk.amount[start:],
        chunk.units[start:],
        chunk.kinds,
        chunk.items,
        chunk.groups,
        chunk.item_group,
        chunk.currency,
        chunk.source,
        chunk.tail,
    )


def _tail_encode(chunk: Chunk) -> bytes:
    return events.canonical(
        {
            "kinds": chunk.kinds,
            "items": chunk.items,
            "groups": chunk.groups,
            "item_group": chunk.item_group,
            "currency": chunk.currency,
            "source": chunk.source,
            "tail": chunk.tail,
        }
    )


class _Tail(TypedDict):
    currency: str
    groups: list[str]
    item_group: list[Annotated[int, msgspec.Meta(gt=-events.MAX_INT, lt=events.MAX_INT)]]
    items: list[str]
    kinds: list[str]
    source: str
    tail: dict[str, str]


_tail_reader = msgspec.json.Decoder(_Tail)
_tail_writer = msgspec.json.Encoder(order="sorted")


def _tail_words(tail: bytes) -> Mapping[str, Any]:
    """Read a tail's canonical JSON of the known shape; plain ASCII by a shorter way."""
    try:
        words = _tail_reader.decode(tail)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise EvidenceBroken("a behaviour chunk is not whole") from None
    if tail.isascii() and _tail_writer.encode(words) == tail:
        return words
    return events.read_canonical(tail)


def _tail_decode(columns: Sequence[tuple[int, ...]], tail: bytes) -> Chunk:
    words = _tail_words(tail)
    at, kind, item, amount, units = columns
    return Chunk(
        at=at,
        kind=kind,
        item=item,
        amount=amount,
        units=units,
        kinds=tuple(words["kinds"]),
        items=tuple(words["items"]),
        groups=tuple(words["groups"]),
        item_group=tuple(words["item_group"]),
        currency=words["currency"],
        source=words["source"],
        tail=words["tail"],
    )
