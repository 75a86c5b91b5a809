"""Answer a complainant: their whole time-line with proofs, in one folder."""

from pathlib import Path

from troth.capabilities.access.reading import Reading
from troth.errors import InvalidInput
from troth.surfaces import answering
from troth.surfaces.commands.answer import Answer
from troth.surfaces.commands.call import Call, book_reading, find, refused
from troth.surfaces.commands.rights import write_file
from troth.terms import Action

FIELDS = ("timeline", "receipts")


def answer(call: Call, person: str, case: str, out: Path) -> Answer:
    """Write the answer to a folder; that it was read and taken out is recorded first."""
    if out.exists() and any(out.iterdir()):
        raise InvalidInput("this folder holds something already", "name another with --out")
    if not case.strip():
        raise InvalidInput("the complaint has no reference", "name it with --case")
    with call.opened() as ws:
        with ws.store.look() as view:
            who = find(ws, view, person)
        actor = call.actor(ws, who)
        reading = Reading(who, actor, FIELDS, f"complaint {case}", Action.EXPORT)
        if (no := book_reading(ws, reading)) is not None:
            return refused(no, "Not answered.")
        composed = answering.compose(ws, who, case)
        policy = f"log {ws.signer.key.vkey}\nquorum none\n"
    files = answering.attachments(composed, policy)
    for name, raw in files.items():
        write_file(out / name, raw)
        (out / name).chmod(0o600)
    data = {**answering.data(composed), "folder": str(out), "files": sorted(files)}
    lines = [*answering.summary(composed), "", f"The answer: {out / 'answer.pdf'}"]
    lines.append(f"Beside it: {composed.dossier.proved} receipts, the notices, and the policy.")
    return Answer(data, lines)
