"""The documents of the house on the command line: what is missing, a file, the public manual."""

from pathlib import Path

from troth import app
from troth.errors import InvalidInput
from troth.surfaces import handing
from troth.surfaces.commands.answer import Answer, columns
from troth.surfaces.commands.call import Call
from troth.surfaces.commands.rights import write_file


def listing(call: Call) -> Answer:
    """List every document with its state, and each missing fact with its file and key."""
    with call.opened() as ws:
        every = app.list_documents(ws)
        unpublished = app.unpublished(ws)
    rows = [(each.name, handing.state_of(each)[1], each.title) for each in every]
    gaps = {gap: None for each in every for gap in each.gaps}
    lines = columns(rows)
    if gaps:
        lines.append("Missing; fill it, then: troth apply")
        lines += columns([(gap.file, gap.key, gap.what) for gap in gaps])
    if unpublished:
        lines.append(f"Drafts not published, so not in any document: {', '.join(unpublished)}")
    data = {"documents": [handing.data_of(each) for each in every], "unpublished": unpublished}
    return Answer(data, lines)


def write(call: Call, name: str, out: str) -> Answer:
    """Write a document, or a blank form, to a file; its ending says as what.

    Raises:
        InvalidInput: The ending is none of pdf, csv and json.
    """
    path = Path(out)
    kind = path.suffix.removeprefix(".")
    if not kind:
        raise InvalidInput("--out has no ending", "end the file with .pdf, .csv or .json")
    with call.opened() as ws:
        raw = handing.write(ws, name, kind)
        found = next(each for each in app.list_documents(ws) if each.name == name)
    write_file(path, raw)
    lines = [f"Written to {out}"]
    if found.gaps:
        lines.append(
            f"Not complete: {len(found.gaps)} facts are missing. See: troth documents list"
        )
    return Answer(
        {"name": name, "file": out, "bytes": len(raw), "missing": len(found.gaps)}, lines
    )


def publish(call: Call) -> Answer:
    """Publish the PAIA manual as it is now, as the next version; anybody can read it then."""
    with call.opened() as ws:
        done = app.publish_manual(ws, call.actor(ws))
    return Answer({"published": done.label, "sha256": done.digest}, [f"Published {done.label}"])
