"""Answer a complaint: the person's whole time-line in words, as data, as a page and on paper."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from troth.app import Workspace
from troth.capabilities import trust
from troth.engines.paper import Block as Piece
from troth.engines.paper import pdf
from troth.kernel import events, proof
from troth.kernel.facts import House
from troth.surfaces import timeline, words
from troth.terms import Block, Instant, PersonId, moment, zulu

FOR_GROUPS = ("choice", "message", "decision", "reading", "held", "house")


@dataclass(frozen=True, slots=True)
class Line:
    """One entry as every form of the answer shows it."""

    entry: trust.Entry
    told: timeline.Told
    who: str
    late: int


@dataclass(frozen=True, slots=True)
class Answering:
    """A complaint's answer, composed.

    Attributes:
        case: The complaint's own reference.
        mark: What the copy says of itself: whose, what for, until when.
    """

    dossier: trust.Dossier
    lines: tuple[Line, ...]
    house: House
    company: str
    zone: str
    case: str
    ledger: str
    mark: str = ""

    def count(self, group: str) -> int:
        """Return how many entries are of a group."""
        return sum(line.told.group == group for line in self.lines)


def compose(ws: Workspace, person: PersonId, case: str) -> Answering:
    """Put the answer together; the reading was permitted and recorded before.

    Raises:
        NotFound: Nothing is held under this id.
        Shredded: The person was erased.
        EvidenceBroken: Something does not verify; there is no answer then, and the operator is
            needed.
    """
    found = trust.dossier(ws.desk, person, ws.sign(), ws.signer.policy)
    with ws.store.look() as view:
        house = ws.desk.house(view)
    lines = tuple(
        Line(
            entry,
            timeline.tell(entry.event, house),
            timeline.by_whom(entry.event),
            timeline.late_by(entry.event),
        )
        for entry in found.entries
    )
    return Answering(
        found, lines, house, ws.settings.title, ws.settings.zone, case, ws.signer.origin
    )


def summary(answer: Answering) -> list[str]:
    """Return the answer's first sentences: what is held, agreed, sent, refused and read."""
    kinds = Counter(line.entry.event.type for line in answer.lines)
    handed = kinds["message.handed"]
    looked = kinds["data.read"]
    oldest = min(line.entry.happened for line in answer.lines)
    dossier = answer.dossier
    size = proof.parse_checkpoint(proof.parse_note(dossier.note)[0]).size
    lines = len(answer.lines)
    seen = "once: for this answer" if looked == 1 else f"{looked:,} times, this answer included"
    said = f"{lines:,} entries are recorded about this person"
    return [
        f"{said}; the oldest is of {words.day(oldest, answer.zone)}.",
        (
            f"{handed:,} {_noun(handed, 'message was', 'messages were')} handed over, "
            f"{kinds['message.withheld']:,} held back at the last moment; "
            f"{_uses(kinds['use.refused'])} refused before anything was written."
        ),
        f"The data was looked at {seen}.",
        (
            f"{dossier.proved:,} of {lines:,} entries were checked against the signed "
            f"ledger {answer.ledger} of {size:,} entries, and hold."
        ),
    ]


def _uses(count: int) -> str:
    return f"{count:,} {_noun(count, 'use was', 'uses were')}"


def _noun(count: int, one: str, many: str) -> str:
    return one if count == 1 else many


def standing(answer: Answering) -> list[tuple[str, str]]:
    """Return what holds now: each answered purpose by channel, and what is suppressed."""
    out = []
    for scope, found in sorted(answer.dossier.record.standings.items()):
        purpose, _, channel = scope.partition("|")
        if purpose.startswith("#"):  # the level, told with the purpose it stands under
            continue
        acts = [a for a in (found.grant, found.deny, found.neutral) if a]
        newest = max(acts, key=lambda act: (act.at, act.recorded, act.n))
        way = words.CHANNELS.get(channel, "by every channel")
        said = timeline.STATES.get(newest.status, newest.status)
        since = words.day(newest.at, answer.zone)
        out.append((f"{timeline.titled(answer.house, purpose)}, {way}", f"{said}, {since}"))
    for channel, blocks in answer.dossier.blocks.items():
        out += [(f"The address {words.CHANNELS[channel]}", _blocked(b, answer)) for b in blocks]
    return out


def _blocked(block: Block, answer: Answering) -> str:
    what = timeline.titled(answer.house, block.value) if block.scope == "purpose" else "everything"
    said = f"not written to about {what}: {block.reason.replace('_', ' ')}"
    return f"{said}, since {words.day(block.since, answer.zone)}" if block.since else said


def _minute(at: Instant, zone: str) -> str:
    local = moment(at).astimezone(ZoneInfo(zone))
    return f"{local.day} {local:%b %Y, %H:%M}"


def days(answer: Answering) -> Iterator[tuple[str, list[Line]]]:
    """Yield the time-line by day of recording, oldest first."""
    for date, lines in groupby(
        answer.lines, lambda line: words.day(line.entry.event.at, answer.zone)
    ):
        yield date, list(lines)


def particulars(line: Line, answer: Answering) -> list[tuple[str, str]]:
    """Return a line's pairs of label and text, with lateness and place in the ledger."""
    out: list[tuple[str, str]] = [*line.told.particulars]
    if line.late:
        happened = words.day(line.entry.happened, answer.zone)
        out.append(("Happened", f"{happened}, {line.late} days before it was recorded"))
    proved = "verified" if line.entry.receipt else "not signed yet"
    out.append(("Ledger", f"entry {line.entry.seq:,}, {proved}"))
    return out


def paper(answer: Answering) -> bytes:
    """Write the answer as a PDF."""
    when = words.spoken(answer.dossier.at, answer.zone)
    pieces = [
        Piece(f"Answer to complaint {answer.case}", "title"),
        Piece(f"{answer.company}, as of {when}.", space=8),
        *(Piece(sentence, space=6) for sentence in summary(answer)),
        Piece("What holds now", "heading", space=20, keep=True),
        *(Piece(text, label=label, space=6) for label, text in standing(answer) or _NOTHING),
    ]
    if answer.dossier.notices:
        pieces.append(Piece("Notices the person was shown", "heading", space=20, keep=True))
        for label, raw in answer.dossier.notices.items():
            text = f"kept word for word; attached as {file_of(label)}; {len(raw):,} bytes"
            pieces.append(Piece(text, label=label, space=6))
    pieces.append(Piece("Time-line, oldest first", "heading", space=20, keep=True))
    for line in answer.lines:
        at = _minute(line.entry.event.at, answer.zone)
        pieces.append(Piece(f"{line.told.sentence}.", "strong", label=at, space=10, keep=True))
        detail = "; ".join(f"{k}: {v}" for k, v in particulars(line, answer))
        pieces.append(Piece(f"{detail}. By {line.who}.", "small", label=" ", space=0))
    pieces.append(Piece("How to check this without trusting us", "heading", space=20, keep=True))
    pieces += [Piece(text, space=6) for text in CHECKING]
    if answer.mark:
        pieces.append(Piece("This copy", "heading", space=20, keep=True))
        pieces += [Piece(text, space=6) for text in answer.mark.splitlines()]
    return pdf(f"Answer to complaint {answer.case}", pieces, f"{answer.company} · {answer.case}")


_NOTHING = [
    (
        "No answer",
        (
            "the person has said neither yes nor no; what the law allows without an answer is "
            "worked out at each use, from the dealings noted below"
        ),
    )
]
CHECKING = (
    (
        "Each entry has a receipt beside this document: a file ending in .tlog-proof. It holds "
        "the recorded words, and the path from them to the signed head of the ledger."
    ),
    (
        "Any tlog-proof verifier checks it with the file named policy; Troth's own is a single "
        "Python file: make verify-tool. A receipt whose words were changed does not verify."
    ),
    (
        "This proves what was recorded, and that nothing recorded was altered or taken out since."
        " It cannot prove what was never recorded. No outside witness signs this ledger yet."
    ),
)


def file_of(notice: str) -> str:
    """Name a notice's file.

    >>> file_of("offers@3")
    'notices/offers-3.md'
    """
    return f"notices/{notice.replace('@', '-')}.md"


def attachments(answer: Answering, policy: str) -> dict[str, bytes]:
    """Return every file of the answer by its path: the paper, receipts, notices, the policy."""
    out = {"answer.pdf": paper(answer), "policy": policy.encode()}
    for line in answer.lines:
        entry = line.entry
        if entry.receipt:
            chain = f"-{entry.chain}" if entry.chain else ""
            name = f"receipts/{entry.event.n:06}{chain}-{entry.event.type}.tlog-proof"
            out[name] = entry.receipt.encode()
    out |= {file_of(label): raw for label, raw in answer.dossier.notices.items()}
    return out


def data(answer: Answering) -> dict[str, Any]:
    """Return the answer for programs; holds no address and no name."""
    return {
        "case": answer.case,
        "at": zulu(answer.dossier.at),
        "ledger": answer.ledger,
        "entries": [_entry(line) for line in answer.lines],
        "proved": answer.dossier.proved,
        "standing": [{"scope": scope, "said": said} for scope, said in standing(answer)],
        "notices": sorted(answer.dossier.notices),
    }


def _entry(line: Line) -> Mapping[str, Any]:
    event: events.Event = line.entry.event
    return {
        "at": zulu(event.at),
        "happened": zulu(line.entry.happened),
        "type": event.type,
        "group": line.told.group,
        "said": line.told.sentence,
        "particulars": dict(line.told.particulars),
        "by": event.actor.partition("/")[0],
        "entry": line.entry.seq,
        "receipt": bool(line.entry.receipt),
    }
