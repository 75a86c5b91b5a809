"""The folder of a request: its steps, what the record holds since, a receipt for each, the policy.

Meant for an authority or a court: every file can be checked without this house.
"""

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import msgspec

from troth.app.workspace import Workspace
from troth.capabilities import rights
from troth.capabilities.rights.requests_rules import Request, Step
from troth.kernel.desk import everybody
from troth.kernel.scribe import Recorded
from troth.terms import PersonId, zulu


def pack(opened: Workspace, person: PersonId, request: str) -> dict[str, bytes]:
    """Return the files of a request by name; whoever takes them out books the export first.

    Raises:
        NotFound: There is no such request.
        Shredded: The person was erased: their certificate is what is left.
    """
    desk = opened.desk
    note = opened.sign()
    with opened.store.look() as view:
        held = rights.request_of(desk, view, person, request)
        ids = everybody(view, person)
        chain = [r for each in ids for r in desk.scribe.chain(view, each)]
    since = [r for r in chain if r.event.at >= held.steps[0].at]
    files = {
        "request.json": _json(told(held)),
        "since.json": _json([_line(r) for r in since]),
        "policy": opened.signer.policy_for(note).encode(),
        "README.txt": _README,
    }
    mine = {step.n for step in held.steps}
    for place, each in enumerate(ids):
        chain_of = f"-{place}" if place else ""  # the ids merged into this one number from 1 too
        for receipt in rights.receipts(desk, each, note):
            named = receipt.type == "request.acted" and receipt.n in mine
            later = receipt.at >= held.steps[0].at and receipt.type != "request.acted"
            if named or later:
                name = f"receipts/{receipt.n:06}{chain_of}-{receipt.type}.tlog-proof"
                files[name] = receipt.text.encode()
    return files


def told(held: Request) -> Mapping[str, Any]:
    """Return a request as programs read it, with every step and its words."""
    return {
        "id": held.id,
        "right": held.right,
        "state": held.state,
        "received": zulu(held.received),
        "due": zulu(held.due),
        "rule": held.rule,
        "how": held.how,
        "scope": list(held.scope),
        "extended": held.extended,
        "ground": held.ground,
        "duplicate_of": held.other,
        "steps": [_step(step) for step in held.steps],
    }


def _step(step: Step) -> Mapping[str, Any]:
    said = {"act": step.act, "at": zulu(step.at), "n": step.n, "by": step.role}
    more = {"ground": step.ground, "text": step.text, "due": zulu(step.due) if step.due else ""}
    return {**said, **{name: value for name, value in more.items() if value}}


def _line(recorded: Recorded) -> Mapping[str, Any]:
    event = recorded.event
    by = event.actor.partition("/")[0]
    return {"n": event.n, "type": event.type, "at": zulu(event.at), "by": by, "leaf": recorded.seq}


def _json(value: Any) -> bytes:  # noqa: ANN401 - JSON holds anything
    return msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=2) + b"\n"


_README = (
    b"request.json   the request, every step and every word of both sides\n"
    b"since.json     what the record holds about the person since: kinds and times, no content\n"
    b"receipts/      a proof for each of these entries; any tlog-proof verifier checks it\n"
    b"policy         whose signature counts\n"
)


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Return files as one ZIP archive; the same files give the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name), raw)
    return out.getvalue()
