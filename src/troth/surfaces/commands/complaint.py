"""Answer a complainant: their whole time-line with proofs, in one folder."""

from dataclasses import dataclass, replace
from pathlib import Path

from troth.capabilities.access.acts import may_act
from troth.capabilities.access.cases import Opening, named_case
from troth.capabilities.access.reading import Reading
from troth.errors import InvalidInput
from troth.surfaces import answering
from troth.surfaces.commands.answer import Answer
from troth.surfaces.commands.call import (
    Call,
    book_reading,
    export_data,
    export_lines,
    find,
    leaving,
    left_in,
    refused,
)
from troth.surfaces.commands.rights import write_file, write_mark
from troth.terms import Action, Role

FIELDS = ("timeline", "receipts")
MAY = frozenset({Role.OFFICER, Role.SYSTEM})


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a complaint is answered.

    Attributes:
        case: The complaint's reference; "" draws one.
        out: The folder; it must be empty.
        only: Names of the files to write; empty: all of them.
    """

    case: str
    out: Path
    only: tuple[str, ...] = ()


def answer(call: Call, person: str, wanted: Wanted) -> Answer:
    """Write the answer to a folder; that it was read and taken out is recorded first."""
    out = wanted.out
    if out.exists() and any(out.iterdir()):
        raise InvalidInput("this folder holds something already", "name another with --out")
    with call.opened() as ws:
        case = wanted.case.strip() or f"C-{ws.desk.randomness.take(4).hex()}"
        actor = call.actor(ws)
        if (no := may_act(ws.desk, actor, MAY)) is not None:
            return refused(no, "Not answered.")
        with ws.store.look() as view:
            who = find(ws, view, person)
        ref = named_case(ws.desk, who, Opening(case, "complaint"), actor)
        reading = leaving(ws, Reading(who, actor, FIELDS, ref, Action.EXPORT), "complaint")
        if (no := book_reading(ws, reading)) is not None:
            return refused(no, "Not answered.")
        left = left_in(ws, reading)
        composed = answering.compose(ws, who, case)
        composed = replace(composed, mark=left.mark() if left else "")
        policy = ws.signer.policy_for(ws.sign())
    made = answering.attachments(composed, policy)
    files = {name: raw for name, raw in made.items() if name in wanted.only or not wanted.only}
    for name, raw in files.items():
        write_file(out / name, raw)
        (out / name).chmod(0o600)
    if not wanted.only:
        write_mark(out, left)
    data = {
        **answering.data(composed), "folder": str(out), "files": sorted(files), **export_data(left)
    }  # fmt: skip
    lines = [*answering.summary(composed), "", f"The answer: {out / 'answer.pdf'}"]
    if not wanted.only:
        proved = composed.dossier.proved
        lines.append(f"Beside it: {proved} receipts, the notices, and the policy.")
    return Answer(data, [*lines, *export_lines(left)])
