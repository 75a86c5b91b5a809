"""A new key for the ledger, an old one disowned, and an origin that continues another.

Each is a public statement in the ledger itself, so that whoever reads it needs nobody's word.
"""

from collections.abc import Sequence
from dataclasses import replace

from troth import crypto
from troth.capabilities.custody.signing import (
    DISOWNED,
    LOG,
    RETIRED,
    SIGNS,
    LogKey,
    Signer,
    log_keys,
    put_keys,
)
from troth.errors import Conflict, InvalidInput
from troth.kernel import ledger, proof
from troth.kernel.desk import SYSTEM, Desk, public
from troth.kernel.events import LogActed, canonical
from troth.ports import Transaction, View
from troth.terms import Actor, LogState

ROTATED, CONTINUED, DISOWNS, RETIRES = (
    "log.rotated",
    "log.continued",
    "log.disowned",
    "log.retired",
)


def continued(desk: Desk, old: proof.Checkpoint, restored: LogState, new_origin: str) -> int:
    """Close one origin and begin the next: book the public leaf that says so; return its index.

    For a record whose end, or whose key, is lost for good. The leaf commits to the last checkpoint
    outsiders hold of the old origin and to what of it was restored, so that everybody can see
    which entries are gone. Chains go on at their next number. Repeating it changes nothing.

    Args:
        desk: The restored record, before anything is booked in it or signed.
        old: The newest checkpoint known outside: witnessed, anchored or signed.
        restored: Size and root of what was restored.
        new_origin: The name the ledger has from now on; the caller makes it the record's origin.

    Raises:
        InvalidInput: The new origin is the old one, or no name of a log.
        Conflict: The record is not as `restored` says: something was booked since.
    """
    check_origin(new_origin)
    if new_origin == old.origin:
        raise InvalidInput("a new origin has a new name", "count its end up: ledger-2, ledger-3")
    statement: dict[str, str | int] = {
        "type": CONTINUED,
        "origin": new_origin,
        "from": old.origin,
        "size": old.size,
        "root": proof.b64(old.root),
        "kept": restored.size,
        "kept_root": proof.b64(restored.root),
    }
    told = LogActed("continued", new_origin, size=old.size, note=old.text)
    place = b"from/" + new_origin.encode()
    with desk.store.look() as view:
        before = view.row(LOG, place)
        if before is not None:
            return int.from_bytes(before, "big")
        if view.log != restored:
            raise Conflict("the record is not as it was restored", "restore it again")
        prepared = desk.house_event(view, told, SYSTEM)
    with desk.store.book() as tx:
        index = tx.state(public(statement, tx.now))
        if tx.append(prepared):
            raise Conflict("somebody else writes to this record", "stop every other process")
        tx.put_row(LOG, place, index.to_bytes(8, "big"))
        put_keys(tx, [_closed(each, old.size) for each in log_keys(tx)])
    return index


def _closed(key: LogKey, size: int) -> LogKey:
    return replace(key, state=RETIRED, until=size) if key.state == SIGNS else key


def check_origin(name: str) -> None:
    """Require a name a log can have.

    Raises:
        InvalidInput: It is empty or holds a space or a plus.
    """
    if not name or any(c.isspace() or c == "+" or not c.isprintable() for c in name):
        raise InvalidInput("this is no name of a log", "write DOMAIN/ledger-2")


def rotate(desk: Desk, signer: Signer, secret: str, seed: bytes, actor: Actor = SYSTEM) -> LogKey:
    """Let a new key sign beside the old one, and say so in a public leaf both keys signed.

    Args:
        desk: The workspace.
        signer: Who signs now.
        secret: Name of the new private half; it lies durably in the key folder already.
        seed: The new private half.
        actor: Who asked for it.

    Raises:
        InvalidInput: This key signs or signed already.
        Conflict: Somebody else changed the keys meanwhile; nothing was booked.
    """
    new = ledger.log_key(signer.origin, seed)
    if any(each.key.public == new.public for each in signer.keys):
        raise InvalidInput("this key signs or signed already", "draw a new one")
    with desk.store.look() as view:
        made = LogKey(new.vkey, secret, view.log.size)
        said = _statement(ROTATED, signer, made.vkey, made.since)
        leaf = {**said, "by_old": _by(signer.seed, said), "by_new": _by(seed, said)}
        prepared = desk.house_event(
            view, LogActed("rotated", signer.origin, key=made.vkey, size=made.since), actor
        )
    with desk.store.book() as tx:
        _unmoved(tx, signer)
        tx.state(public(leaf, tx.now))
        if tx.append(prepared):
            raise Conflict("the house's chain moved meanwhile", "repeat it")
        put_keys(tx, [*signer.keys, made])
    return made


def _statement(kind: str, signer: Signer, vkey: str, size: int) -> dict[str, str | int]:
    return {
        "type": kind,
        "origin": signer.origin,
        "old": signer.key.vkey,
        "key": vkey,
        "size": size,
    }


def _by(seed: bytes, said: dict[str, str | int]) -> str:
    return proof.b64(crypto.ed25519_sign(seed, signed_bytes(said)))


def signed_bytes(said: dict[str, str | int]) -> bytes:
    """Return what both keys sign of a rotation: the leaf without time and signatures."""
    kept = {k: v for k, v in said.items() if k not in {"at", "v", "by_old", "by_new"}}
    return b"troth/log-key/v1\n" + canonical(kept)


def check_rotation(leaf: dict[str, str | int]) -> bool:
    """Tell whether both keys a rotation's leaf names signed it."""
    keys = proof.parse_vkey(str(leaf["old"])), proof.parse_vkey(str(leaf["key"]))
    return all(
        crypto.ed25519_verify(key.public, proof.unb64(str(leaf[name])), signed_bytes(leaf))
        for key, name in zip(keys, ("by_old", "by_new"), strict=True)
    )


def _unmoved(tx: Transaction, signer: Signer) -> None:
    if log_keys(tx) not in {(), signer.keys}:
        raise Conflict("the ledger's keys changed meanwhile", "repeat it")


def retire(desk: Desk, signer: Signer, actor: Actor = SYSTEM) -> tuple[LogKey, ...]:
    """End an overlap: of the keys that sign only the newest goes on; return those retired.

    What they signed stays good: receipts name them, and policies go on naming them.
    """
    ours = [k for k in signer.keys if k.key.name == signer.origin and k.state == SIGNS]
    return _end(desk, signer, ours[:-1], RETIRES, RETIRED, None, actor)


def disown(
    desk: Desk, signer: Signer, vkey: str, cutoff: int, actor: Actor = SYSTEM
) -> tuple[LogKey, ...]:
    """Disown a stolen key: nothing it signed above `cutoff` is ours.

    Give the size of the last checkpoint that a witness, or a customer's message, shows to be
    ours. A verifier that reads the policy refuses every larger one by this key; every other
    verifier knows the key no more at all.

    Raises:
        InvalidInput: No such key, the only one that signs, or a size the ledger has not.
    """
    with desk.store.look() as view:
        size = view.log.size
    found = [k for k in signer.keys if k.vkey == vkey and k.state != DISOWNED]
    if not found:
        raise InvalidInput("no such key signs or signed", "see: troth ledger keys")
    if not 0 <= cutoff <= size:
        raise InvalidInput("the ledger never had this size", "name one it was signed at")
    if found[0].key.public == signer.key.public:
        raise InvalidInput("this is the newest key that signs", "run first: troth ledger rotate")
    return _end(desk, signer, found, DISOWNS, DISOWNED, cutoff, actor)


def _end(  # noqa: PLR0913 - which keys, and how they end
    desk: Desk,
    signer: Signer,
    ended: Sequence[LogKey],
    leaf: str,
    state: str,
    cutoff: int | None,
    actor: Actor,
) -> tuple[LogKey, ...]:
    if not ended:
        return ()
    with desk.store.look() as view:
        size = view.log.size if cutoff is None else cutoff
        done = tuple(replace(k, state=state, until=size) for k in ended)
        acted = state if state == RETIRED else DISOWNED
        prepared = [
            desk.house_event(
                view, LogActed(acted, signer.origin, key=ended[0].vkey, size=size), actor
            )
        ]
    with desk.store.book() as tx:
        _unmoved(tx, signer)
        for key in done:
            said = _statement(leaf, signer, key.vkey, size)
            tx.state(public({**said, "by_new": _by(signer.seed, said)}, tx.now))
        if tx.append(prepared[0]):
            raise Conflict("the house's chain moved meanwhile", "repeat it")
        by = {k.vkey: k for k in done}
        put_keys(tx, [by.get(k.vkey, k) for k in signer.keys])
    return done


def origins(view: View) -> list[tuple[str, int]]:
    """Return every origin that continued another, and the leaf where it says so."""
    found = view.rows(LOG, b"from/", b"", 1_000)
    return sorted(
        ((key[5:].decode(), int.from_bytes(value, "big")) for key, value in found),
        key=lambda each: each[1],
    )
