"""Consent records on the command line: check a file, or look at what it says."""

from pathlib import Path

from troth.app import records
from troth.errors import InvalidInput, NotFound
from troth.surfaces.commands.answer import Answer, columns
from troth.surfaces.commands.call import Call


def _read(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError:
        raise NotFound("this file cannot be read", "name a consent record (.json)") from None


def verify(call: Call, file: str) -> Answer:
    """Check a file's shape, its words, and whether it is ours and still stands.

    Raises:
        InvalidInput: It is no consent record at all.
    """
    raw = _read(file)
    with call.opened() as ws:
        found = records.check(raw, ws)
    data = {
        "state": found.state,
        "ours": found.ours,
        "code": found.code,
        "findings": [list(each) for each in found.findings],
        "notes": list(found.told.notes),
    }
    lines = [_STATES[found.state], f"  code: {found.code}"]
    lines += [f"  {place} {said}" for place, said in found.findings[:_SHOWN]]
    lines += [f"  note: {note}" for note in found.told.notes]
    return Answer(data, lines, 0 if found.ours and found.state == "valid" else 1)


_SHOWN = 20
_STATES = {
    "valid": "Valid: one of this house's records, byte for byte, and what it says still stands.",
    "superseded": "Superseded: one of this house's records, but a later choice took its place.",
    "unknown": "Unknown: no event of this house names these bytes.",
}


def show(call: Call, file: str) -> Answer:
    """Say what a file tells, in whatever spelling it is written; needs no workspace.

    Raises:
        InvalidInput: It is no consent record at all.
    """
    del call
    told = records.check(_read(file)).told
    rows = [
        ("record", told.identifier),
        ("about", told.subject),
        ("said", told.status.removeprefix("dpv:")),
        ("when", told.at),
        ("until", told.until),
        ("for", ", ".join(told.purposes)),
        ("by", ", ".join(told.controllers)),
        ("notice", ", ".join(told.notices)),
        ("language", ", ".join(told.languages)),
    ]
    if not told.status and not told.purposes:
        raise InvalidInput("this says nothing of a consent", "use the file as it was given")
    data: dict[str, object] = {**dict(rows), "notes": list(told.notes)}
    shown = [row for row in rows if row[1]]
    return Answer(data, [*columns(shown), *(f"  note: {note}" for note in told.notes)])
