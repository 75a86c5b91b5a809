"""The ledger's head, its verification, its proofs."""

from typing import Any

from troth import app
from troth.errors import EvidenceBroken, InvalidInput, NotFound
from troth.kernel import ledger, proof
from troth.surfaces.commands.answer import Answer
from troth.surfaces.commands.call import Call


def head(call: Call) -> Answer:
    """Show what is committed and what of it is signed."""
    with call.opened() as ws:
        with ws.store.look() as view:
            log, note = view.log, view.note()
        key = ws.signer.key.vkey
    signed = proof.parse_checkpoint(proof.parse_note(note)[0]).size if note else 0
    data = {
        "size": log.size,
        "root": proof.b64(log.root),
        "signed_size": signed,
        "note": note,
        "key": key,
    }
    lines = [f"{log.size:,} entries, {signed:,} of them under a signed checkpoint.", f"Key {key}"]
    return Answer(data, [*lines, "", note.rstrip("\n")] if note else lines)


def verify(call: Call, *, deep: bool = False) -> Answer:
    """Recompute everything; findings mean: stop writing and call the operator."""
    with call.opened() as ws:
        findings = ws.verify(deep=deep, watch=call.watch("people") if deep else _nobody)
        with ws.store.look() as view:
            log = view.log
    data: dict[str, Any] = {
        "verified": not findings,
        "size": log.size,
        "root": proof.b64(log.root),
        "findings": [{"what": f.what, "where": f.place} for f in findings],
    }
    data |= {"deep": True} if deep else {}
    if findings:
        lines = [f"NOT verified: {len(findings)} findings in {log.size:,} entries."]
        lines += [f"  {f.what}: {f.place}" for f in findings]
        return Answer(data, [*lines, "Stop writing, restore the last backup."], 1)
    more = ", every event and every chain" if deep else ""
    text = f"Verified: {log.size:,} entries, every tile, root and signature{more}."
    return Answer(data, [text, f"  root {data['root']}"])


def _nobody(_done: int) -> None:
    """Nobody looks."""


def prove(call: Call, index: int | None, since: int | None) -> Answer:
    """Prove that an entry is in, or that the ledger only grew."""
    if (index is None) == (since is None):
        raise InvalidInput("name one entry, or --since SIZE", "see: troth ledger prove --help")
    with call.opened() as ws:
        note = ws.sign()
        size = proof.parse_checkpoint(proof.parse_note(note)[0]).size
        if index is not None:
            return _inclusion(ws, index, size, note)
        return _consistency(ws, since or 0, size, note)


def _inclusion(ws: app.Workspace, index: int, size: int, note: str) -> Answer:
    if index >= size:
        raise NotFound(f"the ledger has {size} entries", "name one from 0")
    with ws.store.look() as view:
        found = view.entries(index, index + 1)
        path = ledger.inclusion_path(index, size, view.tile)
        root = ledger.tree_root(size, view.tile)
    if not found:
        raise EvidenceBroken(f"entry {index} is missing", "run: troth ledger verify")
    proof.verify_inclusion(found[0], index=index, size=size, path=path, root=root)
    data = {
        "index": index,
        "size": size,
        "root": proof.b64(root),
        "leaf": proof.b64(proof.leaf_hash(found[0])),
        "path": [proof.b64(step) for step in path],
        "note": note,
    }
    return Answer(data, [f"Entry {index} of {size}: {len(path)} hashes lead to the root.", note])


def _consistency(ws: app.Workspace, since: int, size: int, note: str) -> Answer:
    if since > size:
        raise NotFound(f"the ledger has {size} entries", "name a size it had")
    with ws.store.look() as view:
        roots = ledger.tree_root(since, view.tile), ledger.tree_root(size, view.tile)
        path = ledger.consistency_path(since, size, view.tile)
    proof.verify_consistency(size1=since, size2=size, root1=roots[0], root2=roots[1], path=path)
    data = {
        "size1": since,
        "size2": size,
        "root1": proof.b64(roots[0]),
        "root2": proof.b64(roots[1]),
        "path": [proof.b64(step) for step in path],
        "note": note,
    }
    return Answer(data, [f"The first {since} of {size} entries are the same as then.", note])
