"""Backups on the command line: make, check, list, and restore after a loss."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from troth.app import backup as doing
from troth.app import restore as bringing
from troth.capabilities.access.acts import may_act
from troth.capabilities.custody.backup import Backup
from troth.errors import EvidenceBroken, InvalidInput, NotFound
from troth.kernel import proof
from troth.surfaces.commands.answer import Answer, columns
from troth.surfaces.commands.call import Call, refused
from troth.surfaces.words import spoken
from troth.terms import Instant


def backup(call: Call, out: Path, *, check: bool) -> Answer:
    """Make a backup and, if wished, restore it for a trial."""
    with call.opened() as ws:
        actor = call.actor(ws)
        if (no := may_act(ws.desk, actor, doing.MAY_BACK_UP)) is not None:
            ws.sign()
            return refused(no, "No backup was made.")
        made = doing.backup_data(ws, out, actor, call.watch)
        held = doing.check_backup(ws, made.path, actor, call.watch) if check else made.backup
        gone = doing.thin_out(ws, actor)
        ws.sign()
    data = {**_data(held), "file": str(made.path), "left_out": list(made.unknown), "deleted": gone}
    lines = [
        f"Backup {held.id}: {held.bytes:,} bytes, {held.size:,} entries of the ledger.",
        f"  {made.path}",
        f"  SHA-256 {held.digest}",
        "  Restored for a trial: it opens, and its ledger verifies."
        if check
        else "  Not restored for a trial: add --check.",
        "  It opens with a copy of keys/ alone: keep that elsewhere, and witness/ too.",
    ]
    lines += [
        f"  Nobody decided about {name}: what leads to nobody was left out."
        for name in made.unknown
    ]
    return Answer(data, lines)


def listed(call: Call) -> Answer:
    """List every backup the record remembers."""
    with call.opened() as ws:
        held, checks = doing.list_backups(ws), doing.checks(ws)
        zone = ws.settings.zone
    rows = [(b.id, spoken(b.at, zone), f"{b.bytes:,} bytes", _standing(b), b.place) for b in held]
    lines = columns(rows) if rows else ["There is no backup yet: troth backup DIR --check"]
    lines += ["", *(f"  {c.state:<8}{c.title}: {c.said}" for c in checks)]
    data = {
        "backups": [_data(b) for b in held],
        "checks": [{"id": c.id, "state": c.state, "said": c.said} for c in checks],
    }
    return Answer(data, lines)


def _standing(held: Backup) -> str:
    if held.gone_at:
        return "deleted"
    return "checked" if held.checked_at else "not checked"


def _data(held: Backup) -> dict[str, Any]:
    return {
        "id": held.id,
        "at": held.at,
        "digest": held.digest,
        "bytes": held.bytes,
        "size": held.size,
        "counts": held.counts,
        "checked_at": held.checked_at,
        "deleted_at": held.gone_at,
    }


@dataclass(frozen=True, slots=True)
class Wanted:
    """What `troth restore` was told."""

    archive: Path
    into: Path
    keys: str
    shares: tuple[str, ...]
    witness: str
    seen: tuple[str, ...]
    without_journal: bool


def restore(call: Call, wanted: Wanted) -> Answer:
    """Restore, and say what holds again."""
    given = bringing.Given(
        keys=Path(wanted.keys) if wanted.keys else None,
        shares=tuple(map(Path, wanted.shares)),
        witness=Path(wanted.witness) if wanted.witness else None,
        without_journal=wanted.without_journal,
        seen=tuple(_checkpoint(Path(name)) for name in wanted.seen),
        clock=bringing.clock(Instant(at) if (at := call.standing()) else None),
        watch=call.watch,
    )
    done = bringing.restore(wanted.into, wanted.archive, given)
    return Answer(_told(done), _said(done))


def _checkpoint(path: Path) -> proof.Checkpoint:
    """Read the checkpoint in a receipt or a signed note; whose it is, the restore looks at."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise NotFound("this file cannot be read", "name a receipt or a signed note") from None
    for part in (text, text.partition("\n\n")[2]):
        with suppress(InvalidInput, EvidenceBroken):
            return proof.parse_checkpoint(proof.parse_note(part)[0])
    raise InvalidInput("this holds no checkpoint", "name a receipt or a signed note")


def _told(done: bringing.Restored) -> dict[str, Any]:
    told = done.outcome
    return {
        "folder": str(done.folder),
        "backup": told.backup,
        "kept": told.kept,
        "lost": done.lost,
        "journal": told.journal,
        "lines": told.replayed.lines,
        "again": told.replayed.again,
        "people": told.rebuilt.people,
        "erased": len(told.rebuilt.erased),
        "unreadable": told.rebuilt.unreadable,
        "campaigns_stopped": told.campaigns,
        "messages_unknown": told.messages,
        "origin": told.origin,
        "leaf": done.leaf,
    }


def _said(done: bringing.Restored) -> list[str]:
    told = done.outcome
    counts = ", ".join(f"{n} {name}" for name, n in sorted(told.replayed.again.items())) or "none"
    lines = [
        f"Restored {told.backup}: {told.kept:,} entries, {told.rebuilt.people:,} people.",
        f"  Restriction journal: {told.journal}; booked again: {counts}.",
        f"  Campaigns stopped: {told.campaigns}; messages of unknown end: {told.messages}.",
    ]
    if told.journal != "whole":
        lines.append("  Nobody is mailed: a yes counts only if it is given from now on.")
    if told.rebuilt.unreadable:
        lines.append(f"  {told.rebuilt.unreadable} people have no key in this copy of keys/.")
    if done.continued:
        lines.append(
            f"  {done.lost} signed entries are lost: the ledger goes on as {done.continued}."
        )
    lines.append(f"  Public entry {done.leaf} says so. Build the audiences anew before sending.")
    return lines
