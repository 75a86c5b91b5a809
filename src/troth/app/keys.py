"""Keys of a house: epochs that begin and end, what an erasure may promise of them, how they stand.

Nothing here names a person or opens a value.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import msgspec

from troth.app import escrow, residue, rotating
from troth.app.checks import Check
from troth.app.keycare import SHARES, Care, care_of, require_keeper
from troth.app.workspace import Workspace
from troth.capabilities import rights
from troth.capabilities.custody import epochs
from troth.capabilities.rights.horizon import Horizon
from troth.errors import EvidenceBroken, Fault, NotFound, Unavailable
from troth.kernel.calendars import local_date
from troth.kernel.desk import SYSTEM
from troth.kernel.vault import Keyring
from troth.terms import DAY, Actor, Instant, KeyEpoch, PersonId

When = Literal["daily", "now"]
COPIES: Final = "custody.keycopy"
LATE_DAYS: Final = 2
"""An epoch whose end is overdue by more is red."""


@dataclass(frozen=True, slots=True)
class Escrow:
    """Who could give the key back: how many shares of which epoch were handed out, and when."""

    epoch: int
    shares: int
    need: int
    at: Instant


@dataclass(frozen=True, slots=True)
class Copied:
    """The newest copy of the key store: of which epoch, when, and where it was put."""

    epoch: int
    at: Instant
    place: str
    digest: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How the keys of a house stand.

    Attributes:
        epochs: All, oldest first.
        touched: Shards whose key the next epoch renews; 0: nothing was shredded since.
        promise: What the provider states of a key destroyed now.
        left: People whose keys are being replaced and who still have an old one.
    """

    at: Instant
    care: Care
    epochs: Sequence[KeyEpoch]
    touched: int
    promise: str
    escrow: Escrow | None
    copied: Copied | None
    left: int

    @property
    def current(self) -> KeyEpoch:
        """The epoch in force."""
        return epochs.current(self.epochs)

    @property
    def overdue(self) -> list[int]:
        """Epochs whose end should have come by now."""
        return [e.epoch for e in self.epochs if e.state == "kept" and e.due <= self.at]


def standing(opened: Workspace) -> Standing:
    """Look at how the keys stand; changes nothing."""
    with opened.store.look() as view:
        shares, copied = view.row(SHARES, b"last"), view.row(COPIES, b"last")
        at = view.now
    return Standing(
        at=at,
        care=care_of(opened.settings),
        epochs=opened.keys.epochs.all(),
        touched=opened.keys.epochs.touched(),
        promise=opened.keys.provider.promise(at).method,
        escrow=Escrow(*msgspec.json.decode(shares)) if shares else None,
        copied=Copied(*msgspec.json.decode(copied)) if copied else None,
        left=opened.keys.retired_count(),
    )


def damaged(opened: Workspace) -> list[PersonId]:
    """Return whose keys do not open as the keys they were; walks everybody, opens no value.

    Raises:
        Unavailable: The key store or its provider does not answer.
    """
    keys, out, after = opened.desk.vault.keys, [], None
    with opened.store.look() as view:
        while page := view.people(after, 1_000):
            after = page[-1]
            keys.load(page, view.now)
            out += [person for person in page if _broken(keys, person, view.now)]
    return out


def _broken(keys: Keyring, person: PersonId, at: Instant) -> bool:
    try:
        keys.key(person, at)
    except EvidenceBroken:
        return True
    except NotFound:
        return False
    return False


# Epochs


def roll(opened: Workspace, actor: Actor = SYSTEM) -> epochs.Rolled:
    """End the epoch in force, whatever was shredded in it comes under its end; shares are renewed.

    Raises:
        InvalidInput: This role keeps no keys.
        Unavailable: A store or the provider does not answer; repeat: it goes on where it stopped.
    """
    require_keeper(actor)
    done = epochs.roll(opened.desk, opened.keys.epochs, care_of(opened.settings).keep_days, actor)
    escrow.share_again(opened)
    return done


def destroy_due(opened: Workspace, actor: Actor = SYSTEM) -> list[int]:
    """Destroy the epochs whose days are over; see `epochs.destroy_due`."""
    require_keeper(actor)
    return epochs.destroy_due(opened.desk, opened.keys.epochs, actor)


def tend(opened: Workspace) -> None:
    """Do what is due: a roll a day if something was shredded, ends whose day has come, old keys.

    Raises:
        Unavailable: Something does not answer; the next round tries again.
    """
    store, every = opened.keys.epochs, care_of(opened.settings).every_days
    with opened.store.look() as view:
        today = local_date(view.now, opened.settings.zone)
    held = store.all()
    begun = local_date(epochs.current(held).since or Instant(0), opened.settings.zone)
    rolling = any(each.state == "rolling" for each in held)
    if rolling or (store.touched() and (today - begun).days >= every):
        roll(opened)
    destroy_due(opened)
    rotating.finish(opened)


# What an erasure may promise


def horizon_of(opened: Workspace, epoch: int) -> Horizon:
    """Say where the end of an epoch stands."""
    if not epoch:
        return Horizon()
    end = epochs.end_of(opened.keys.epochs.all(), epoch)
    with opened.store.look() as view:
        method = end.method or opened.keys.provider.promise(view.now).method
    return Horizon(epoch, end.state, end.at, method)


def _ended_now(opened: Workspace, epoch: int) -> Horizon:
    """End an epoch at once; destroyed too where none is kept."""
    for _ in range(2):  # a roll that was under way may have passed the shard before the shredding
        roll(opened)
        if not opened.keys.epochs.touched():
            break
    destroy_due(opened)
    return horizon_of(opened, epoch)


def around(opened: Workspace, when: When, uncovered: rights.Steps) -> rights.Steps:
    """Return what goes on around an erasure's steps: epoch, search, and what it cannot reach."""
    return rights.Steps(
        after=uncovered.after,
        uncovered=uncovered.uncovered,
        epoch=lambda: epochs.newest(opened.keys.epochs.all()),
        horizon=lambda epoch: (
            _ended_now(opened, epoch) if when == "now" else horizon_of(opened, epoch)
        ),
        scan=lambda people: residue.scan(opened, people),
    )


def erase(  # noqa: PLR0913 - who, why, by whom, and when the epoch ends
    opened: Workspace,
    person: PersonId,
    request: str,
    actor: Actor,
    when: When,
    uncovered: rights.Steps,
) -> rights.Certificate:
    """Erase a person and search every store afterwards; see `rights.erase`.

    With `when` "now" the key epoch ends at once, for this one person.
    """
    residue.remember(opened, person)
    steps = around(opened, when, uncovered)
    done = rights.erase(opened.desk, person, request, actor, opened.settle, steps)
    residue.forget(person)
    return done


def erase_all(
    opened: Workspace,
    wanted: Sequence[tuple[PersonId, str]],
    actor: Actor,
    uncovered: rights.Steps,
) -> list[rights.Certificate]:
    """Erase many people, each for a request, and search every store once for all of them.

    Raises:
        Unavailable: Something of one of them is left, or a store did not answer. Whoever was
            found nowhere is erased and has their leaf; repeat for the others.
    """
    steps = around(opened, "daily", uncovered)
    carried = []
    for person, request in wanted:
        residue.remember(opened, person)
        carried.append(
            rights.carry_out(opened.desk, person, request, actor, _settled_together, steps)
        )
    opened.settle()
    found = iter(residue.scan_all(opened, [each.people for each in carried if each.people]))
    done, left = [], []
    for (person, _), each in zip(wanted, carried, strict=True):
        scanned = next(found) if each.people else rights.NOT_SCANNED
        try:
            done.append(rights.finish(opened.desk, person, steps, each, scanned))
        except Unavailable as fault:
            left.append(fault)
            continue
        residue.forget(person)
    if left:
        raise left[0]
    return done


def _settled_together() -> None:
    """Write-ahead logs are folded away once for all of them, before the search."""


def unsearched(opened: Workspace, uncovered: rights.Steps) -> rights.Steps:
    """Return the steps of an erasure after which no store is searched; its certificate says so.

    For one that strangers can bring about as often as they like, and for a restore's.
    """
    return replace(around(opened, "daily", uncovered), scan=rights.Steps().scan)


def finish_erasure(opened: Workspace, person: PersonId, uncovered: rights.Steps) -> None:
    """Carry an erasure that was cut off through its steps; its epoch ends with the others."""
    steps = around(opened, "daily", uncovered)
    rights.erase(opened.desk, person, "resumed", SYSTEM, opened.settle, steps)
    residue.forget(person)


# How it stands, for the doctor


def checks(opened: Workspace) -> list[Check]:
    """Say how the measures around the keys stand; opens nothing, a few milliseconds."""
    try:
        held = standing(opened)
    except Fault:
        said = "the key store does not answer"
        return [Check("keys.store", "stored", "Keys", "unknown", said, "IT: see troth keys list")]
    return [_epochs_check(held), _batch_check(held), _escrow_check(held), _copy_check(held)]


def _epochs_check(held: Standing) -> Check:
    title = "Ended key epochs are destroyed"
    late = [e for e in held.epochs if e.state == "kept" and held.at - e.due > LATE_DAYS * DAY]
    if late:
        said = f"{len(late)} ended epochs should be destroyed by now"
        return Check("keys.ends", "deleted", title, "bad", said, "IT: troth keys destroy-due")
    gone = sum(each.state == "destroyed" for each in held.epochs)
    return Check("keys.ends", "deleted", title, "good", f"{gone} destroyed, none overdue")


def _batch_check(held: Standing) -> Check:
    title = "Erasures get an end of their key epoch"
    days = (held.at - held.current.since) // DAY if held.current.since else None
    if held.touched and days is not None and days > held.care.every_days + LATE_DAYS:
        said = f"keys were shredded, and the epoch has lasted {days} days"
        return Check("keys.roll", "deleted", title, "bad", said, "IT: troth keys roll")
    said = "waiting for the next epoch" if held.touched else "nothing waits"
    return Check("keys.roll", "deleted", title, "good", said)


def _escrow_check(held: Standing) -> Check:
    title = "The key can be given back by shares"
    if held.escrow is None:
        said = "nobody holds shares: a lost key is lost data"
        return Check("keys.escrow", "stored", title, "off", said, "IT: troth keys escrow")
    if held.escrow.epoch != held.current.epoch:
        said = f"the shares are of epoch {held.escrow.epoch}, which ended"
        return Check("keys.escrow", "stored", title, "bad", said, "IT: troth keys escrow")
    said = f"{held.escrow.need} of {held.escrow.shares} shares give it back"
    return Check("keys.escrow", "stored", title, "good", said)


def _copy_check(held: Standing) -> Check:
    title = "A copy of the key store can be opened"
    known = {each.epoch: each.state for each in held.epochs}
    if held.copied is None:
        said = "no copy of the key store was made"
        return Check("keys.copy", "stored", title, "bad", said, "IT: troth keys copy")
    if known.get(held.copied.epoch) == "destroyed":
        said = "the newest copy is of an epoch that was destroyed: it opens nothing"
        return Check("keys.copy", "stored", title, "bad", said, "IT: troth keys copy")
    if held.copied.epoch != held.current.epoch:
        said = "the newest copy is of an epoch that ended, and opens only until it is destroyed"
        return Check("keys.copy", "stored", title, "bad", said, "IT: troth keys copy")
    return Check("keys.copy", "stored", title, "good", "it is of the epoch in force")
