"""Epochs of the keys: each ends on the record, with what its provider states of the end.

First the event (what will be done), then the keys, then the public leaf (what was done); whatever
is cut off is gone on with by the next call, and says nothing twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from troth.kernel import events
from troth.kernel.desk import SYSTEM, Desk
from troth.ports import EpochStore, View
from troth.terms import DAY, Actor, Finality, Instant, KeyEpoch, zulu

ENDING: Final = "custody.epoch"
"""Epoch, u32be → what was said of its end; `leaf` is -1 until the public leaf is written."""


class Ending(msgspec.Struct, array_like=True):
    """What the record says of an epoch's end."""

    shards: int
    due: int
    leaf: int = -1
    told: bool = False


@dataclass(frozen=True, slots=True)
class Rolled:
    """A new epoch.

    Attributes:
        before: The epoch that ended.
        shards: Shards whose key is new.
        keys: Keys wrapped under these.
        due: When the epoch before is destroyed.
    """

    epoch: int
    before: int
    shards: int
    keys: int
    due: Instant


@dataclass(frozen=True, slots=True)
class End:
    """Where the end of an epoch stands, with all before it: only then nothing opens any more.

    Attributes:
        state: destroyed, scheduled, or "" while nothing enforces an end.
        at: The horizon: when nothing opens it any more; 0 without one.
    """

    epoch: int
    state: str
    at: Instant
    method: str


def newest(epochs: Sequence[KeyEpoch]) -> int:
    """Return the newest epoch, one that is only begun included."""
    return max(each.epoch for each in epochs)


def current(epochs: Sequence[KeyEpoch]) -> KeyEpoch:
    """Return the epoch in force."""
    return next(each for each in epochs if each.state == "current")


def roll(desk: Desk, store: EpochStore, keep_days: int, actor: Actor = SYSTEM) -> Rolled:
    """End the epoch in force: touched shards get a new key, all come under a new epoch.

    Goes on with a roll that was cut off. The epoch that ended is kept `keep_days`.

    Raises:
        Unavailable: A store or the provider does not answer; repeat.
    """
    with desk.store.look() as view:
        now = view.now
    due = Instant(now + keep_days * DAY)
    epoch = store.begin(now)
    before = max(
        each.epoch for each in store.all() if each.epoch < epoch
    )  # not looked up earlier:
    shards = store.touched()  # another process may have ended one meanwhile
    with desk.store.look() as view:
        held = ending(view, before)
    if held is None:
        counts = {"before": before, "shards": shards}
        said = [
            events.KeyActed("rolled", epoch, counts=counts),
            events.KeyActed("scheduled", before, until=zulu(due), counts={"shards": shards}),
        ]
        _told(desk, said, before, Ending(shards, due), actor)
    renewed, keys = store.turn(epoch)
    store.finish(epoch, now, due)
    return Rolled(epoch, before, renewed, keys, due)


def _told(
    desk: Desk, said: Sequence[events.KeyActed], epoch: int, held: Ending, actor: Actor
) -> None:
    """Book house events and what they say of an epoch's end, together and once."""
    while True:
        with desk.store.look() as view:
            head = desk.head(view, desk.scribe.house)
            prepared = desk.scribe.prepare(desk.scribe.house, head, said, actor, view.now)
        with desk.store.book() as tx:
            before = ending(tx, epoch)
            if before is not None and (before.told or not held.told):
                return  # another process said it meanwhile
            if not tx.append(prepared):
                tx.put_row(ENDING, _key(epoch), msgspec.json.encode(held))
                return


def ending(view: View, epoch: int) -> Ending | None:
    """Return what the record says of an epoch's end."""
    raw = view.row(ENDING, _key(epoch))
    return msgspec.json.decode(raw, type=Ending) if raw else None


def _key(epoch: int) -> bytes:
    return epoch.to_bytes(4, "big")


def destroy_due(desk: Desk, store: EpochStore, actor: Actor = SYSTEM) -> list[int]:
    """Destroy every epoch whose days are over; return those whose leaf was written now.

    Raises:
        Unavailable: The provider does not answer; the others wait too: repeat.
    """
    with desk.store.look() as view:
        now = view.now
        held = {each.epoch: ending(view, each.epoch) for each in store.all()}
    done = []
    for each in store.all():
        said = held[each.epoch] or Ending(0, each.due)
        late = each.state == "destroyed" and said.leaf < 0
        if late or (each.state == "kept" and each.due <= now):
            _destroyed(desk, store, each, said, actor)
            done.append(each.epoch)
    return done


def _destroyed(desk: Desk, store: EpochStore, each: KeyEpoch, said: Ending, actor: Actor) -> None:
    epoch = each.epoch
    if not said.told:
        said.told = True
        told = events.KeyActed("destroyed", epoch, counts={"shards": said.shards})
        _told(desk, [told], epoch, said, actor)
    with desk.store.look() as view:
        now = view.now
    done = store.destroy(epoch, now)
    with desk.store.book() as tx:
        before = ending(tx, epoch)
        if before is not None and before.leaf >= 0:
            return
        said.leaf = tx.state(events.public_entry(_statement(epoch, said.shards, done, tx.now)))
        tx.put_row(ENDING, _key(epoch), msgspec.json.encode(said))


def _statement(epoch: int, shards: int, done: Finality, at: Instant) -> dict[str, object]:
    return {
        "type": "key.epoch",
        "at": zulu(at),
        "epoch": epoch,
        "destroyed": True,
        "method": done.method,
        "final_after": zulu(done.final_after),
        "shards": shards,
    }


def end_of(epochs: Sequence[KeyEpoch], epoch: int) -> End:
    """Say where the end of an epoch stands; its own and all before it count, the latest rules."""
    upto = [each for each in epochs if each.epoch <= epoch]
    method = next((e.method for e in reversed(upto) if e.method), "")
    if not upto or any(each.state in ("current", "rolling") for each in upto):
        return End(epoch, "", Instant(0), method)
    if all(each.state == "destroyed" for each in upto):
        return End(epoch, "destroyed", Instant(max(each.final_after for each in upto)), method)
    last = max(each.final_after or each.due for each in upto)
    return End(epoch, "scheduled", Instant(last), method)
