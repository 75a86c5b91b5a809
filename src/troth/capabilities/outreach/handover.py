"""Hand booked messages over, deciding once more right before each leaves."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from troth.capabilities.outreach.booking import job_kind
from troth.capabilities.outreach.model import (
    BATCH,
    LEASE,
    REJUDGE_AFTER,
    Campaign,
    End,
    Handed,
    Judged,
    told_reasons,
)
from troth.capabilities.outreach.views import judge
from troth.errors import Conflict
from troth.kernel import events
from troth.kernel.desk import Desk
from troth.kernel.vault import Shredded
from troth.ports import HandoverLog, MailTransport, Transaction, View
from troth.terms import (
    NO_HEAD,
    Actor,
    Instant,
    Job,
    Outcome,
    Outgoing,
    PersonId,
    Prepared,
    PurposeKind,
    Refusal,
    Sealed,
)


@dataclass(slots=True)
class _Leased:
    job: Job
    person: PersonId
    number: int
    written: frozenset[str]
    refusal: Refusal | None = None
    erased: bool = False
    judged: Judged | None = None
    size: int = -1


def _leased(job: Job, person: PersonId) -> _Leased:
    _, number, written = msgspec.json.decode(job.payload)
    return _Leased(job, person, number, frozenset(written))


class Courier:
    """Hands booked messages over, deciding once more for each right before it leaves."""

    def __init__(
        self,
        desk: Desk,
        campaign: Campaign,
        transport: MailTransport,
        log: HandoverLog,
        actor: Actor,
    ) -> None:
        """Work on one campaign with one connection and one hand-over journal."""
        self._desk = desk
        self._campaign = campaign
        self._transport = transport
        self._log = log
        self._actor = actor
        self._leased: dict[str, _Leased] = {}
        self._until = Instant(0)
        self._house_head = NO_HEAD

    def recover(self, journal: Mapping[str, Outcome], totals: Handed) -> None:
        """Book what a killed worker began; a start without a reply is unknown, never resent."""
        with self._desk.store.look() as view:
            open_jobs = view.jobs(job_kind(self._campaign.name), "leased")
        if not open_jobs or not journal:
            return
        leased = self._lease(journal.keys())
        self._settle({ref: journal[ref] for ref in leased}, totals)

    def _lease(self, only: Iterable[str] | None = None) -> dict[str, _Leased]:
        kind = job_kind(self._campaign.name)
        with self._desk.store.book() as tx:
            until = self._until = Instant(tx.now + LEASE)
            jobs = (
                tx.lease(kind, until, BATCH) if only is None else tx.seize(kind, list(only), until)
            )
        self._leased = {
            job.key: _leased(job, job.person) for job in jobs if job.person is not None
        }
        return self._leased

    def run(self, totals: Handed, progress: Callable[[int], None] = lambda _done: None) -> None:
        """Hand over until nothing is ready; a lost connection leaves the rest ready.

        Raises:
            Unavailable: The relay cannot be reached; messages not begun stay booked.
        """
        while self._lease():
            outcomes: dict[str, Outcome] = {}
            try:
                for outcome in self._transport.hand_over(
                    self._messages(), self._may_go, self._log
                ):
                    outcomes[outcome.ref] = outcome
            finally:
                self._settle(outcomes, totals)
            progress(totals.handed)

    def _messages(self) -> Iterator[Outgoing]:
        desk = self._desk
        with desk.store.look() as view:
            people = [entry.person for entry in self._leased.values()]
            desk.vault.keys.load(people, view.now)
            written = {entry.person: entry.written for entry in self._leased.values()}
            judged = {
                j.gathered.person: j
                for j in judge(desk, view, self._campaign, people, self._actor, written)
            }
            fields = [f"outgoing:{self._campaign.purpose}", f"contact.{self._campaign.channel}"]
            rows = view.sealed(people, fields)
            now, size = view.now, view.log.size
            self._house_head = desk.head(view, desk.scribe.house)
        for ref, entry in self._leased.items():
            found = judged.get(entry.person)
            entry.judged, entry.size = found, size
            message = self._message(ref, entry, found, rows.get(entry.person, ()), now)
            if message is not None:
                yield message

    def _message(
        self,
        ref: str,
        entry: _Leased,
        found: Judged | None,
        rows: Sequence[Sealed],
        now: Instant,
    ) -> Outgoing | None:
        row = next((r for r in rows if r.row == entry.number and ":" in r.field), None)
        if found is None or row is None:
            entry.erased = True
            return None
        answer = found.answer
        if isinstance(answer, Refusal):
            entry.refusal = answer
            return None
        try:
            address = [r for r in rows if r.field == f"contact.{self._campaign.channel}"]
            to = self._desk.vault.open(answer, address, now)
            data = self._desk.vault.open_outgoing(answer, row, now)
        except Shredded:
            entry.erased = True
            return None
        sender = self._campaign.sender.from_address
        return Outgoing(ref, sender, to[f"contact.{self._campaign.channel}"], data)

    def _may_go(self, ref: str) -> bool:
        """Ask again, before the envelope and before the body, if anything was recorded since.

        Every call is a look of its own; the permit at hand serves only while that look shows
        everything it rests on just as it was.
        """
        entry = self._leased[ref]
        with self._desk.store.look() as view:
            if view.now >= self._until:
                return False  # another worker may hold these jobs by now
            if self._as_judged(view, entry):
                return True
            written = {entry.person: entry.written}
            found = judge(self._desk, view, self._campaign, [entry.person], self._actor, written)
        if not found:
            entry.erased = True
            return False
        answer = found[0].answer
        entry.refusal = answer if isinstance(answer, Refusal) else None
        return entry.refusal is None

    def _as_judged(self, view: View, entry: _Leased) -> bool:
        """Tell whether a judgment stands: same house, ledger, suppressions, and moments ago.

        Where the ledger grew, the person and the house's own chain must be as they were.
        """
        judged = entry.judged
        if judged is None or isinstance(judged.answer, Refusal):
            return False
        was, at, contact = judged.gathered, judged.request.at, judged.gathered.contact
        house, until = judged.facts.house, min(at + REJUDGE_AFTER, judged.answer.until)
        kind = house.purposes[self._campaign.purpose].kind
        if (
            view.house_version != house.version
            or not at <= view.now < until
            or kind is PurposeKind.CONSENT_REQUEST  # whether an address was asked is no event
            or contact is None
        ):
            return False
        if view.log.size == entry.size:
            return view.blocks([contact.sup]).get(contact.sup, ()) == was.blocks
        if view.gather([entry.person], self._campaign.channel) != [was]:
            return False
        if self._desk.head(view, self._desk.scribe.house) != self._house_head:
            return False
        entry.size = view.log.size
        return True

    def _settle(self, outcomes: Mapping[str, Outcome], totals: Handed) -> None:
        ends: list[tuple[_Leased, End, Outcome | None]] = []
        for ref, entry in self._leased.items():
            outcome = outcomes.get(ref)
            if outcome is not None and outcome.state != "withdrawn":
                ends.append((entry, End(outcome.state), outcome))
            elif entry.refusal is not None or entry.erased:
                ends.append((entry, End.WITHHELD, None))
        self._book_ends(ends)
        for entry, end, _ in ends:
            if end is End.WITHHELD:
                refusal = None if entry.erased else entry.refusal
                totals.withheld[refusal.first.code if refusal else "erased"] += 1
            else:
                setattr(totals, end, getattr(totals, end) + 1)

    def _book_ends(self, ends: Sequence[tuple[_Leased, End, Outcome | None]]) -> None:
        desk = self._desk
        left = list(ends)
        while left:
            with desk.store.look() as view:
                heads = {g.person: g for g in view.gather([e.person for e, _, _ in left], None)}
                prepared: list[Prepared] = []
                for entry, end, outcome in left:
                    known = heads.get(entry.person)
                    entry.erased |= known is None or known.record.erasing
                    if entry.erased or known is None:
                        continue
                    said = events.MessageOutcome(
                        state=end,
                        ref=entry.job.key,
                        reply=outcome.code if outcome else None,
                        reasons=told_reasons(entry.refusal.reasons) if entry.refusal else None,
                        channel=self._campaign.channel,
                    )
                    try:
                        prepared += desk.scribe.prepare(
                            entry.person, known.head, [said], self._actor, view.now
                        )
                    except Shredded:
                        entry.erased = True
            with desk.store.book() as tx:
                moved = tx.append(prepared)
                for entry, end, _ in left:
                    if entry.person not in moved:
                        _finish(tx, entry, end)
                        if entry.person in heads:
                            tx.drop_row(
                                entry.person, f"outgoing:{self._campaign.purpose}", entry.number
                            )
            left = [e for e in left if e[0].person in moved]


def _finish(tx: Transaction, entry: _Leased, end: End) -> None:
    """End a job; an erasure took it along, or a second worker took it over: then it is theirs."""
    with suppress(Conflict):
        tx.finish([(entry.job, end)])
