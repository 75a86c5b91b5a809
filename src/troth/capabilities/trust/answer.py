"""One person's whole time-line with its proofs: what a complaint is answered from."""

from collections.abc import Mapping
from dataclasses import dataclass

from troth.errors import NotFound
from troth.kernel import events, ledger, proof
from troth.kernel.desk import Desk, everybody
from troth.ports import View
from troth.terms import Block, Channel, Instant, PersonId, PersonRecord


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of the person, and where the ledger holds it.

    Attributes:
        happened: When it happened, which may be long before it was recorded.
        seq: Its place in the ledger.
        receipt: The receipt's text, checked before it was put here; "" while no signed
            checkpoint covers the entry yet.
        chain: 0 for the person's own chain, 1 and up for those merged into it.
    """

    event: events.Event
    happened: Instant
    seq: int
    receipt: str
    chain: int = 0


@dataclass(frozen=True, slots=True)
class Dossier:
    """Everything recorded about one person, oldest first.

    Attributes:
        record: The facts rules decide from, as they stand now.
        blocks: Entries of the suppression list that meet the person's addresses, by channel.
        notices: `name@version` → the bytes the person was shown.
        note: The signed checkpoint all receipts lead to.
    """

    entries: tuple[Entry, ...]
    record: PersonRecord
    blocks: Mapping[str, tuple[Block, ...]]
    notices: Mapping[str, bytes]
    note: str
    at: Instant

    @property
    def proved(self) -> int:
        """How many entries carry a receipt; each was verified."""
        return sum(bool(entry.receipt) for entry in self.entries)


def dossier(desk: Desk, person: PersonId, note: str, policy: proof.Policy) -> Dossier:
    """Put a person's time-line together and verify every receipt in it.

    Reads what must have been permitted and recorded before this is called. Costs about 0.3 ms an
    event.

    Args:
        desk: The house's desk.
        person: Whom it is about; ids merged into it come along.
        note: A signed checkpoint, as new as possible.
        policy: Whose signature counts.

    Raises:
        NotFound: Nothing is held under this id.
        Shredded: The person was erased; nothing can be told any more.
        EvidenceBroken: A chain or a receipt does not verify: stop, call the operator.
    """
    with desk.store.look() as view:
        size = proof.parse_checkpoint(proof.parse_note(note)[0]).size
        entries: list[Entry] = []
        for place, whose in enumerate(everybody(view, person)):
            for read in desk.scribe.chain(view, whose):
                text = ""
                if read.seq < size:
                    extra = proof.event_extra(read.salt, read.raw)
                    text = ledger.receipt(extra, read.seq, note, view.tile)
                    proof.read_receipt(text.encode(), policy)
                entries.append(Entry(read.event, _happened(read.event), read.seq, text, place))
        if not entries:
            raise NotFound("nothing is held under this id")
        entries.sort(key=lambda entry: (entry.event.at, entry.seq))
        return Dossier(
            tuple(entries),
            view.gather([person], None)[0].record,
            _blocks(view, person),
            _notices(view, entries),
            note,
            view.now,
        )


def _happened(event: events.Event) -> Instant:
    return events.act_time(getattr(event.payload, "occurred_at", None), event.at)


def _blocks(view: View, person: PersonId) -> dict[str, tuple[Block, ...]]:
    out: dict[str, tuple[Block, ...]] = {}
    for channel in Channel:
        found = view.gather([person], channel)
        if found and found[0].contact is not None and found[0].blocks:
            out[channel] = found[0].blocks
    return out


def _notices(view: View, entries: list[Entry]) -> dict[str, bytes]:
    """Return the bytes of every notice version an act of the person names."""
    named = {
        label
        for entry in entries
        if (label := getattr(entry.event.payload, "notice", None)) is not None
    }
    held = {p.name.removeprefix("notice:"): p.data for p in view.published_all("notice:")}
    return {label: held[label] for label in sorted(named & held.keys())}
