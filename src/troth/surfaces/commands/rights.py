"""Receipts and erasure."""

import re
from dataclasses import asdict
from pathlib import Path

from troth import crypto
from troth.capabilities import rights
from troth.capabilities.access.exports import Export
from troth.capabilities.rights.horizon import Horizon
from troth.errors import InvalidInput, NotFound, Unavailable
from troth.kernel import events, proof
from troth.surfaces.commands.answer import Answer, counted
from troth.surfaces.commands.call import (
    Call,
    book_reading,
    export_data,
    export_lines,
    find,
    leaving,
    left_in,
    look_for,
    refused,
    seek,
)
from troth.surfaces.words import spoken
from troth.terms import Action, Refusal, zulu

ERASED = "the event itself was erased; that there was one still holds"
_REQUEST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def write_file(path: Path, held: str | bytes) -> None:
    """Write a file beside its name first, so that none is ever half there.

    Raises:
        Unavailable: The folder cannot be written.
    """
    draft = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(held.encode() if isinstance(held, str) else held)
        draft.replace(path)
    except OSError:
        raise Unavailable("the file cannot be written", "check owner and mode") from None


def write_mark(folder: Path, left: Export | None) -> None:
    """Write the mark of an export beside what it holds; its name says by when it is deleted."""
    if left is not None:
        write_file(folder / left.named("EXPORT", "txt"), left.mark())


def export(call: Call, person: str, out: Path, reason: str) -> Answer:
    """Write a person's receipts; that they were taken out is recorded first."""
    if out.is_dir() and any(out.glob("*.tlog-proof")):
        raise InvalidInput("receipts lie in this folder already", "name another with --out")
    with call.opened() as ws:
        reading = seek(call, ws, person, look_for(("receipts",), reason, Action.EXPORT))
        if isinstance(reading, Refusal):
            return refused(reading, "Not exported.")
        reading = leaving(ws, reading, "receipts")
        if (no := book_reading(ws, reading)) is not None:
            return refused(no, "Not exported.")
        note = ws.sign()
        found = rights.receipts(ws.desk, reading.person, note)
        for each in found:
            write_file(out / f"{each.n:06}-{each.type}.tlog-proof", each.text)
        write_file(out / "policy", ws.signer.policy_for(note))
        left = left_in(ws, reading)
        write_mark(out, left)
    data = {
        "folder": str(out),
        "receipts": [{"n": r.n, "type": r.type} for r in found],
        **export_data(left),
    }
    return Answer(
        data,
        [
            f"{len(found)} receipts lie in {out}, with the policy they verify under.",
            f"Anybody can check one: troth receipt verify FILE --policy {out}/policy",
            *export_lines(left),
        ],
    )


def verify(call: Call, file: Path, policy: str) -> Answer:
    """Check one receipt, under a policy file or under this house's own key."""
    raw = _read(file, "the receipt")
    if policy:
        text = _read(Path(policy), "the policy").decode("ascii", "replace")
        believed = proof.parse_policy(text, crypto.ed25519_verify)
    else:
        with call.opened() as ws:
            believed = ws.signer.policy
    read = proof.read_receipt(raw, believed)
    event = events.decode(read.event) if read.event is not None else None
    data = {
        "verified": True,
        "index": read.index,
        "size": read.checkpoint.size,
        "origin": read.checkpoint.origin,
        "type": event.type if event else None,
        "at": zulu(event.at) if event else None,
    }
    said = f"{event.type} at {zulu(event.at)}" if event else ERASED
    place = f"entry {read.index} of {read.checkpoint.size} in {read.checkpoint.origin}"
    return Answer(data, [f"Verified: {said}.", f"  It is {place}, under a signed checkpoint."])


def _read(path: Path, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(proof.MAX_RECEIPT_BYTES + 1)
    except FileNotFoundError:
        raise NotFound(f"{what} is not there", "check the path") from None
    except OSError:
        raise InvalidInput(f"{what} cannot be read", "check the path and its mode") from None


def erase(call: Call, person: str, request: str, *, agreed: bool, now: bool = False) -> Answer:
    """Erase a person and print the certificate; with `now` their key epoch ends at once."""
    if request and not _REQUEST.fullmatch(request):
        raise InvalidInput("--request is no id", "use letters, digits, dot, - and _")
    if not agreed:
        raise InvalidInput("nothing was erased: it cannot be undone", "add --now to do it")
    with call.opened() as ws:
        with ws.store.look() as view:
            who, zone = find(ws, view, person), ws.settings.zone
        name = request or f"rq-{ws.desk.randomness.take(8).hex()}"
        done = ws.erase(who, name, call.actor(ws, who), "now" if now else "daily")
        ws.sign()
    data = {**asdict(done), "erased_at": zulu(done.erased_at), "counts": dict(done.counts)}
    data["not_covered"] = list(done.not_covered)
    data["scanned"] = {"stores": list(done.scanned.stores), "by": list(done.scanned.by)}
    ends = zulu(done.horizon.at) if done.horizon.at else None
    data["horizon"] = {**asdict(done.horizon), "at": ends}
    return Answer(
        data,
        [
            f"Erased on {spoken(done.erased_at, zone)}; request {done.request}.",
            f"  {done.keys} keys destroyed; deleted:",
            *counted(done.counts),
            f"  Entry {done.leaf} of the ledger says so; only this salt shows whom it names:",
            f"  {done.salt}",
            _ending(done.horizon, zone),
            "What this could not reach:",
            *(f"  {text}" for text in done.not_covered),
        ],
    )


def _ending(horizon: Horizon, zone: str) -> str:
    """Say when copies of the keys open nothing of the person any more; a date only if enforced."""
    if horizon.state == "destroyed":
        return f"  Key epoch {horizon.epoch} was destroyed: {horizon.method}."
    if horizon.state == "scheduled":
        ends = spoken(horizon.at, zone)
        return f"  Key epoch {horizon.epoch} is destroyed after {ends}: {horizon.method}."
    return f"  Key epoch {horizon.epoch} has no end yet; it comes with the next one."
