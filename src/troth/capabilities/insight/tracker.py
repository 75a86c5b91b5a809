"""Against counting one person out: what each member of staff was shown, as sketches.

Kept are sums of keyed marks (`adapters.reach.standing.sketch`), the answer shown and the digest of
the expression; never the expression, never a member. Oldest rows go first.
"""

from dataclasses import asdict, replace

import msgspec

from troth import crypto
from troth.capabilities.insight.counting import Counted, Limits, Withheld
from troth.kernel.desk import Desk
from troth.ports import View
from troth.terms import DAY, Actor

RESULTS = "insight.results"
QUOTA = "insight.quota"
ACTOR_BYTES, SUM_BYTES, DIGEST_BYTES = 16, 8, 32


def sketch_key(desk: Desk) -> bytes:
    """Return the secret by which sets are sketched, the same for all staff and times."""
    return crypto.mac(desk.vault.keys.secret("bi"), b"segment sketch")[:24]


def _who(desk: Desk, actor: Actor) -> bytes:
    told = f"segment counts\n{actor.id}".encode()  # one person in two roles is one person
    return crypto.mac(desk.vault.keys.secret("bi"), told)[:ACTOR_BYTES]


def spend(desk: Desk, actor: Actor, limits: Limits) -> Withheld | None:
    """Take one count of the actor's day, or say that the day's are used up."""
    with desk.store.look() as view:
        key = _who(desk, actor) + (view.now // DAY).to_bytes(4, "big")
    with desk.store.book() as tx:
        used = int.from_bytes(tx.row(QUOTA, key) or b"", "big")
        if used >= limits.counts_per_day:
            return Withheld("quota", limits.counts_per_day)
        tx.put_row(QUOTA, key, (used + 1).to_bytes(4, "big"))
    return None


def near(one: bytes, other: bytes, k: int) -> bool:
    """Say whether two sketches differ, and in fewer than `k` sums: then so few people may."""
    apart = 0
    if one == other:
        return False
    for n in range(0, len(one), SUM_BYTES):
        apart += one[n : n + SUM_BYTES] != other[n : n + SUM_BYTES]
        if apart >= k:
            return False
    return True


def beside(desk: Desk, view: View, actor: Actor, seen: tuple[str, bytes], limits: Limits) -> bool:
    """Tell whether the actor was shown another expression's answer about nearly the same people.

    Remembers nothing. `seen` is digest (hex) and sketch, as in `admit`.
    """
    name, sketch = bytes.fromhex(seen[0]), seen[1]
    rows = view.rows(RESULTS, _who(desk, actor), b"", limits.results_kept)
    return any(
        raw[:DIGEST_BYTES] != name and near(sketch, _sketch(raw), limits.k) for _, raw in rows
    )


def admit(
    desk: Desk, actor: Actor, seen: tuple[str, bytes], counted: Counted, limits: Limits
) -> Counted | Withheld:
    """Return what an actor may be shown of an answer, and remember it, in one commit.

    Where few people changed since the same expression was counted, that earlier answer is shown
    again; where another expression came that near, none is.

    Args:
        desk: The desk.
        actor: Whom it would be shown to.
        seen: Digest of the expression (hex) and sketch of the set.
        counted: The answer.
        limits: How near is too near, and how many are remembered.
    """
    digest, sketch = seen
    name, prefix = bytes.fromhex(digest), _who(desk, actor)
    with desk.store.book() as tx:
        rows = tx.rows(RESULTS, prefix, b"", limits.results_kept)
        alike = [(key, raw) for key, raw in rows if near(sketch, _sketch(raw), limits.k)]
        if any(raw[:DIGEST_BYTES] != name for _, raw in alike):
            return Withheld("tracker", limits.k)
        if alike:
            return _read(alike[-1][1])
        same = [key for key, raw in rows if raw[:DIGEST_BYTES] + _sketch(raw) == name + sketch]
        oldest = [key for key, _ in rows[: max(0, len(rows) + 1 - limits.results_kept)]]
        for key in {*same, *oldest}:
            tx.put_row(RESULTS, key, None)
        last = int.from_bytes(rows[-1][0][ACTOR_BYTES:], "big") if rows else 0
        told = msgspec.json.encode(asdict(counted))
        place = prefix + (last + 1).to_bytes(8, "big")
        tx.put_row(RESULTS, place, name + len(sketch).to_bytes(4, "big") + sketch + told)
    return counted


def _sketch(raw: bytes) -> bytes:
    size = int.from_bytes(raw[DIGEST_BYTES : DIGEST_BYTES + 4], "big")
    return raw[DIGEST_BYTES + 4 :][:size]


def _read(raw: bytes) -> Counted:
    told = raw[DIGEST_BYTES + 4 + len(_sketch(raw)) :]
    return replace(msgspec.json.decode(told, type=Counted), kept=True)
