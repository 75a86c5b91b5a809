"""Everybody of a generation by what keeps them out of an audience, and a set's sketch."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from troth.adapters.reach.query import INSIDE, Ask
from troth.adapters.reach.reader import BATCH, Reach
from troth.kernel.audience import STATES, Audience, Crowd, Outside
from troth.terms import Instant, PersonId

BUCKETS = 1024
KEY_BYTES = 24


def tally(
    reach: Reach, audience: Audience, at: Instant, exclude: Iterable[PersonId] = ()
) -> Iterator[Crowd]:
    """Yield everybody but the excluded once, grouped; one pass over the generation.

    Counts by group are personal data where they are small: show none under k. Raises as
    `Reach.narrow` does.
    """
    asked = reach._asked(Ask(audience.where, "standing"), at, exclude)  # noqa: SLF001 - same adapter
    with asked as (held, cursor):
        while rows := cursor.fetchmany(BATCH):
            for why, residence, age, language, subject, level, agreed, people in rows:
                yield Crowd(
                    None if why == INSIDE else Outside(why // 3, STATES[why % 3]),
                    residence or "",
                    age or "",
                    language or "",
                    subject,
                    -1 if level is None else level,
                    held.names("agreed", agreed),
                    people,
                )


def sketch(people: Sequence[PersonId], key: bytes) -> bytes:
    """Return a set's sketch: 1,024 sums of keyed 64-bit marks, 8 kB, whatever the set's size.

    Two sets that differ in fewer than n people differ in fewer than n sums, and equal sums mean
    equal sets but for one chance in 2^64. Nobody can be found in it without the key, nor with it
    without their id. 0.3 s for a million.

    Args:
        people: The members, in any order.
        key: 24 secret bytes, always the same.
    """
    import numpy as np  # noqa: PLC0415 - in the extra [reach]

    if not people:
        return bytes(8 * BUCKETS)
    halves = np.frombuffer(b"".join(people), dtype="<u8").reshape(-1, 2)
    first, second, third = np.frombuffer(key[:KEY_BYTES], dtype="<u8")
    mark = _stirred(_stirred(halves[:, 0] ^ first) + (halves[:, 1] ^ second))
    place = (_stirred(mark ^ third) % BUCKETS).astype("i8")
    sums = np.zeros(BUCKETS, dtype="<u8")
    np.add.at(sums, place, mark)
    return sums.tobytes()


def _stirred(z: Any) -> Any:  # noqa: ANN401 - an array of 64-bit numbers
    """Mix 64 bits so that each depends on all (the finishing step of SplitMix64)."""
    kind = z.dtype.type
    z = (z ^ (z >> kind(30))) * kind(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> kind(27))) * kind(0x94D049BB133111EB)
    return z ^ (z >> kind(31))
