"""Restoring a data backup: nothing opens the house until what people said since holds again.

The folder carries a mark from the first step to the last; `app.open` refuses it meanwhile. Each
step may be repeated after a crash anywhere: run the same restore again.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from troth.adapters import archive
from troth.adapters.sqlite import backup as filtered
from troth.app.restore_log import (
    FORGED,
    WHOLE,
    file_journal,
    name_log,
    read_journal,
    require_journal,
)
from troth.app.restore_place import (
    Given,
    State,
    begin,
    clock,
    place_record,
    require_keys,
    save,
    take_keys,
    take_witness,
)
from troth.app.workspace import UNFINISHED, Workspace, wire
from troth.app.workspace import open as open_workspace
from troth.capabilities import custody, merging, people
from troth.capabilities.custody import rebuilding
from troth.capabilities.custody import restore as again
from troth.capabilities.outreach import steps
from troth.capabilities.outreach.plans import OVER, Step
from troth.capabilities.rights.replaying import erase_again
from troth.errors import Conflict, EvidenceBroken, InvalidInput, NotFound
from troth.kernel import restrictions
from troth.kernel.desk import SYSTEM, Desk
from troth.kernel.vault import read_header
from troth.settings import read_settings
from troth.terms import Actor, PersonId


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did.

    Attributes:
        leaf: Index of the public leaf `restore.done`.
        outcome: What that leaf says.
        continued: The ledger goes on under a new name; "" where the old one holds.
        lost: Entries that were signed and are not in the backup.
    """

    folder: Path
    leaf: int
    outcome: again.Outcome
    continued: str = ""
    lost: int = 0


def restore(folder: Path, source: Path, given: Given) -> Restored:
    """Restore a data backup into a folder; nothing opens it before all of it holds. Repeatable.

    Args:
        folder: The workspace folder: empty, or with `keys/` and `witness/` and no record.
        source: The backup.
        given: Where keys and journal lie, and what else is known.

    Raises:
        Conflict: A record lies there already, or another restore was begun there.
        InvalidInput: It is no backup, or no keys are there.
        EvidenceBroken: The backup, the keys or the ledger in it are damaged.
        Unavailable: The journal is not whole and nobody decided to go without it. Nothing is
            open; run it again with the journal's copy.
    """
    digest, _ = archive.digest_of(source)
    state = begin(folder, digest)
    taken = take_keys(folder, given)
    take_witness(folder, state, given)
    if not state.step:
        _place(folder, source, state, given, taken=taken)
    settings = read_settings(folder)
    opened = wire(settings, given.clock)
    try:
        require_keys(opened)
        lines = read_journal(opened, state, given)
        require_journal(state, given)
        if state.step == "placed":
            name_log(opened, state, given)
    finally:
        opened.close()
    opened = wire(settings, given.clock)
    try:
        if state.step == "named":
            _bundles(opened, state, given)
        done = _hold_again(opened, state, lines, given)
    finally:
        opened.close()
    (folder / UNFINISHED).unlink()
    given.after("done")
    open_workspace(folder, clock=given.clock).close()
    return done


def _place(folder: Path, source: Path, state: State, given: Given, *, taken: bool) -> None:
    """Lay the record in place; keys that do not open it are not left lying there."""
    try:
        place_record(folder, source, state, given)
    except (EvidenceBroken, InvalidInput):
        if taken:
            shutil.rmtree(folder / "keys")
        raise


# What holds again


def _bundles(opened: Workspace, state: State, given: Given) -> None:
    record = opened.settings.record
    rebuilding.put_back(opened.desk, filtered.bundles(record), given.watch("people"))
    save(opened.settings.folder, state, "back")
    given.after("back")


def _hold_again(
    opened: Workspace,
    state: State,
    lines: Sequence[tuple[str, Mapping[str, str | int]]],
    given: Given,
) -> Restored:
    """Do what may be done again from its beginning, up to the public leaf."""
    desk, folder = opened.desk, opened.settings.folder
    filtered.drop_bundles(opened.settings.record)
    _begin_journal(opened, state)
    mine = f"restore-{state.name}"
    rebuilt = rebuilding.rebuild(desk, mine, given.watch("facts"))
    given.after("facts")
    replayed = again.replay(
        desk, lines, _eraser(opened), state.name.encode(), given.watch("journal"),
        _tier(opened),
    )  # fmt: skip
    for person in rebuilt.erased:  # by keys alone, where the journal does not say it
        erase_again(desk, person, mine, opened.settle, opened.unsearched())
    given.after("journal")
    stopped = _stop_campaigns(opened)
    unknown = rebuilding.close_messages(desk, rebuilt.open, mine) + rebuilt.closed
    if state.journal != WHOLE:
        again.say_unsure(desk)
    given.after("stopped")
    opened.follow()
    _require_nothing_left(opened)
    outcome = again.Outcome(
        str(state.told["id"]), state.digest, int(state.told["size"]), state.journal,
        state.origin, replayed, rebuilt, stopped, unknown,
    )  # fmt: skip
    leaf = again.say_done(desk, outcome, state.name)
    custody.keep_tip(desk)
    opened.settle()
    opened.sign()
    save(folder, replace(state), "done")
    given.after("signed")
    new = state.origin if state.old is not None and state.origin != state.old[0] else ""
    return Restored(folder, leaf, outcome, new, state.left)


def _begin_journal(opened: Workspace, state: State) -> None:
    """Lay a broken journal aside, and note in the one that goes on where sequences begin anew."""
    place = opened.settings.witness / "restrictions"
    if state.journal == FORGED and place.exists() and not _noted(opened, state):
        place.rename(place.with_name(f"restrictions.before-{state.name}"))
        file_journal(opened).forget_tip()
    if not _noted(opened, state):
        told = {"origin": state.origin, "restore": state.name, "journal": state.journal}
        file_journal(opened).note("restored", told, int(state.told["size"]))


def _noted(opened: Workspace, state: State) -> bool:
    try:
        return any(line.get("restore") == state.name for line in file_journal(opened).lines())
    except EvidenceBroken:
        return False


def _eraser(opened: Workspace) -> again.Erase:
    def erase(person: PersonId, request: str) -> bool:
        return erase_again(opened.desk, person, request, opened.settle, opened.unsearched())

    return erase


_TIES: Final[Mapping[str, Callable[[Desk, PersonId, PersonId, str, Actor], None]]] = {
    restrictions.MERGE: merging.merge,
    restrictions.UNMERGE: merging.unmerge,
    restrictions.UNLINK: people.unlink,
}


def _tier(opened: Workspace) -> again.Tie:
    def tie(act: str, person: PersonId, other: PersonId) -> bool:
        desk = opened.desk
        try:
            _TIES[act](desk, person, other, again.METHOD, SYSTEM)
        except (NotFound, Conflict):  # one of them is not here, or it is so already
            with desk.store.look() as view:
                return bool(view.gather([person], None) and view.gather([other], None))
        return True

    return tie


def _stop_campaigns(opened: Workspace) -> int:
    """Stop every campaign that runs, waits or is paused: nobody knows whom it reached since."""
    with opened.store.look() as view:
        waiting = [name for name, life in steps.lives(view).items() if _under_way(life.stage)]
    for name in waiting:
        steps.move(opened.desk, name, Step.STOPPED, SYSTEM, "stopped by a restore")
    with opened.store.look() as view:
        return sum(
            any(done.note == "stopped by a restore" for done in steps.done_so_far(view, name))
            for name in steps.lives(view)
        )


def _under_way(stage: str) -> bool:
    return stage not in OVER and stage in {"scheduled", "running", "paused", "approved"}


def _require_nothing_left(opened: Workspace) -> None:
    """Require that no row lies under a destroyed key of a person or a quarter.

    Raises:
        EvidenceBroken: One does; the house stays shut.
    """
    with opened.store.look() as view:
        for person, scope, kver, _ in opened.keys.fences():
            names = [scope] if scope else [*opened.desk.vault.fields, "purchases/", "views/"]
            rows = view.sealed([person], names).get(person, [])
            if scope:
                rows = [row for row in rows if read_header(row.rec)[0] <= kver]
            elif kver:  # a version that was replaced, of somebody who is still here
                continue
            if rows or (not scope and view.bodies(person)):
                raise EvidenceBroken("something lies under a destroyed key", "run it again")


__all__ = ["Given", "Restored", "clock", "restore"]
