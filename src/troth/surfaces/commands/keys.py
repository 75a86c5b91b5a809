"""What `troth keys` does."""

from collections.abc import Sequence
from pathlib import Path

from troth.app import escrow as shares_of
from troth.app import keycopies, real_micros, rotating
from troth.app import keys as house_keys
from troth.errors import InvalidInput, NotFound
from troth.kernel import escrow as sharing
from troth.surfaces.commands.answer import Answer, columns
from troth.surfaces.commands.call import Call, find
from troth.surfaces.words import day, spoken
from troth.terms import Instant, KeyEpoch, zulu

_STATES = {"rolling": "beginning", "current": "in force", "kept": "kept", "destroyed": "destroyed"}
_SHARE_MOST = 4_096


def listed(call: Call) -> Answer:
    """Show how the keys stand."""
    with call.opened() as ws:
        held, zone = house_keys.standing(ws), ws.settings.zone
        run = rotating.progress(ws)
    rows = [(str(e.epoch), _STATES[e.state], _when(e, zone)) for e in held.epochs]
    data = {
        "provider": held.care.provider,
        "promise": held.promise,
        "keep_days": held.care.keep_days,
        "touched_shards": held.touched,
        "epochs": [_epoch(each) for each in held.epochs],
        "escrow": _escrow(held),
        "copy": _copy(held),
        "rotating": {"done": run.done, "total": run.total} if run else None,
        "old_keys": held.left,
    }
    lines = [
        f"Keys are held by: {held.care.provider}. Destroying one is: {held.promise}.",
        *columns([("EPOCH", "STATE", "WHEN"), *rows]),
        _waits(held.touched),
        _shared(held),
        _copied(held, zone),
    ]
    if run:
        lines.append(f"New keys for everybody: {run.done:,} of {run.total:,} people.")
    if held.left:
        lines.append(f"Old keys of {held.left:,} people wait until nothing lies under them.")
    return Answer(data, lines)


def _epoch(each: KeyEpoch) -> dict[str, object]:
    return {
        "epoch": each.epoch,
        "state": each.state,
        "since": _zulu(each.since),
        "due": _zulu(each.due),
        "destroyed": _zulu(each.destroyed),
        "method": each.method or None,
        "final_after": _zulu(each.final_after),
    }


def _zulu(at: Instant) -> str | None:
    return zulu(at) if at else None


def _escrow(held: house_keys.Standing) -> dict[str, object] | None:
    e = held.escrow
    return {"epoch": e.epoch, "shares": e.shares, "need": e.need, "at": zulu(e.at)} if e else None


def _copy(held: house_keys.Standing) -> dict[str, object] | None:
    c = held.copied
    return {"epoch": c.epoch, "at": zulu(c.at), "name": c.place, "sha256": c.digest} if c else None


def _when(each: KeyEpoch, zone: str) -> str:
    if each.state == "destroyed":
        return f"since {day(each.destroyed, zone)} ({each.method})"
    if each.state == "kept":
        return f"until {spoken(each.due, zone)}"
    return f"since {day(each.since, zone)}" if each.since else "since the beginning"


def _waits(touched: int) -> str:
    if not touched:
        return "Nothing was shredded since this epoch began."
    return f"Keys were shredded in {touched} of 1,024 shards; the next epoch ends them for copies."


def _shared(held: house_keys.Standing) -> str:
    if held.escrow is None:
        return "Nobody holds shares of the key: if it is lost, everything is. See: keys escrow"
    if held.escrow.epoch != held.current.epoch:
        return f"The shares are of epoch {held.escrow.epoch}, which ended: share anew."
    return f"Any {held.escrow.need} of {held.escrow.shares} shares give the key back."


def _copied(held: house_keys.Standing, zone: str) -> str:
    if held.copied is None:
        return "No copy of the key store was made. See: keys copy"
    said = f"The newest copy of the key store is {held.copied.place}"
    return f"{said}, of epoch {held.copied.epoch}, made {spoken(held.copied.at, zone)}."


def roll(call: Call) -> Answer:
    """Begin a new epoch."""
    with call.opened() as ws:
        done, zone = house_keys.roll(ws, call.actor(ws)), ws.settings.zone
        ended = house_keys.destroy_due(ws, call.actor(ws))
        ws.sign()
    data = {"epoch": done.epoch, "before": done.before, "shards": done.shards, "keys": done.keys,
            "due": zulu(done.due), "destroyed": ended}  # fmt: skip
    lines = [
        f"Epoch {done.epoch} is in force.",
        f"  {done.shards} shards have a new key, {done.keys:,} keys were wrapped again.",
        f"  Epoch {done.before} is destroyed by the house after {spoken(done.due, zone)}."
        if done.before not in ended
        else f"  Epoch {done.before} is destroyed.",
        "Copy the key store now: older copies open only until then.",
    ]
    return Answer(data, lines)


def destroy_due(call: Call) -> Answer:
    """Destroy what is due."""
    with call.opened() as ws:
        done = house_keys.destroy_due(ws, call.actor(ws))
        ws.sign()
    if not done:
        return Answer({"destroyed": []}, ["No epoch is due."])
    return Answer({"destroyed": done}, [f"Epoch {each} is destroyed." for each in done])


def rotate(call: Call, person: str, *, everyone: bool) -> Answer:
    """Replace data keys."""
    if bool(person) == everyone:
        raise InvalidInput("say whose keys", "name --person PERSON, or --all")
    with call.opened() as ws:
        if everyone:
            done = rotating.rotate_all(ws, call.actor(ws), call.watch("people"))
        else:
            with ws.store.look() as view:
                who = find(ws, view, person)
            done = rotating.rotate_person(ws, who, call.actor(ws))
        ws.sign()
    data = {"people": done.people, "rows": done.rows, "destroyed": done.destroyed,
            "waiting": done.waiting}  # fmt: skip
    lines = [f"{done.people:,} people have new keys; {done.rows:,} rows were sealed anew."]
    if done.waiting:
        lines.append(
            f"Old keys of {done.waiting:,} people are destroyed by the house once nothing lies"
            " under them, in two minutes at the earliest."
        )
    lines.append("Make a new backup of the data then: rows in older ones lie under the old keys.")
    return Answer(data, lines)


def escrow(call: Call, count: int, need: int, out: Path) -> Answer:
    """Write shares."""
    with call.opened() as ws:
        shares_of.require_free(out)
        made = shares_of.shares(ws, count, need, call.actor(ws))
        paths = shares_of.write_shares(made, out)
        ws.sign()
    data = {
        "epoch": made[0].epoch,
        "shares": count,
        "need": need,
        "files": [p.name for p in paths],
    }
    lines = [
        f"{count} shares of the key of epoch {made[0].epoch}; any {need} give it back:",
        *(f"  {path}" for path in paths),
        "Beside each lies a page to print. Give them to different people, then delete them here.",
        "With the next epoch they are worth nothing: share anew then.",
    ]
    return Answer(data, lines)


def recover(call: Call, paths: Sequence[Path], *, back: bool) -> Answer:
    """Try shares, or put the key back by them."""
    texts = [_text(path) for path in paths]
    if back:
        epoch = shares_of.put_back(call.folder, texts)
        said = f"The key of epoch {epoch} is back where it belongs."
    else:
        epoch, _ = shares_of.recover(call.folder, texts)
        said = f"These shares give the key of epoch {epoch} back: the drill is passed."
    return Answer({"epoch": epoch, "put_back": back}, [said])


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_SHARE_MOST).decode("ascii", "replace")
    except OSError:
        raise NotFound("a share is not there", "check the path") from None


def copy(call: Call, out: Path) -> Answer:
    """Copy the key store."""
    with call.opened() as ws:
        done = keycopies.backup_keys(ws, out, call.actor(ws))
        ws.sign()
    data = {"epoch": done.epoch, "at": zulu(done.at), "sha256": done.digest}
    lines = [
        f"The key store is copied, sealed under epoch {done.epoch}.",
        f"  SHA-256 {done.digest}",
        "It holds no key of an epoch: it opens with the provider's, or with shares of it.",
    ]
    return Answer(data, lines)


def restore(call: Call, archive: Path, shares: Sequence[Path]) -> Answer:
    """Bring a copy of the key store back."""
    key = sharing.combine([sharing.read(_text(path)) for path in shares]) if shares else b""
    at = call.standing() or Instant(real_micros())
    done = keycopies.restore_keys(call.folder, archive, at, key)
    data = {"made": done.made, "epoch": done.epoch, "fences": done.fences}
    lines = [
        f"The key store of epoch {done.made} is back; epoch {done.epoch} is in force.",
        f"  {done.fences} keys that were destroyed since are destroyed again.",
    ]
    return Answer(data, lines)
