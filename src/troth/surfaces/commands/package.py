"""A person's package on the command line: written for the rights desk, taken in from elsewhere."""

from dataclasses import replace
from pathlib import Path

from troth.app import package, package_import
from troth.capabilities import rights
from troth.capabilities.access import exports
from troth.errors import InvalidInput, Unavailable
from troth.surfaces.commands.answer import Answer, counted
from troth.surfaces.commands.call import (
    Call,
    export_data,
    export_lines,
    leaving,
    left_in,
    look_for,
    refused,
    seek,
)
from troth.terms import Action, Refusal


def write(call: Call, person: str, out: Path, reason: str) -> Answer:
    """Write a person's package to a file; the gate is asked and the reading recorded first."""
    if out.exists():
        raise InvalidInput("the file is there already", "name another with --out")
    with call.opened() as ws:
        reading = seek(call, ws, person, look_for((), reason, Action.EXPORT))
        if isinstance(reading, Refusal):
            return refused(reading, "Not written.")
        reading = leaving(ws, reading, "package")
        made = package.build_for(ws, reading)
        ws.sign()
        if isinstance(made, Refusal):
            return refused(made, "Not written.")
        left = left_in(ws, reading)
        if left is not None:
            made = replace(made, files={exports.MARK: left.mark().encode(), **made.files})
    size = _written(out, made)
    closed = made.counts["closed"]
    data = {"file": str(out), "bytes": size, "counts": dict(made.counts), **export_data(left)}
    lines = [f"Written to {out}, {size:,} bytes. That it was taken out is in their record.",
             *counted(made.counts)]  # fmt: skip
    lines += export_lines(left)
    if closed:
        lines.append(
            f"{closed} categories are closed to this role and named in it; the person takes the "
            "whole from their own pages."
        )
    return Answer(data, lines)


def _written(out: Path, made: rights.Package) -> int:
    """Write the archive beside its name first, so that none is ever half there."""
    draft = out.with_name(f"{out.name}.part")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as file:
            size = sum(file.write(block) for block in rights.stream(made))
        draft.replace(out)
    except OSError:
        raise Unavailable("the file cannot be written", "check owner and mode") from None
    return size


def take_in(call: Call, file: Path) -> Answer:
    """Take a package in as somebody new."""
    with call.opened() as ws:
        found = package_import.import_package(ws, file, call.watch("import package"))
        ws.sign()
    counts = {
        "values": found.values,
        "activity": found.activity,
        "dealings": found.dealings,
        "consents": found.consents,
        "unproven": found.unproven,
    }
    lines = ["Taken in as somebody new:", *counted(counts)]
    if found.unproven:
        lines.append("What is unproven is kept as unknown: it opens nothing.")
    if found.left:
        lines.append(f"There is no place here for: {', '.join(found.left)}.")
    return Answer({**counts, "left": list(found.left)}, lines)
