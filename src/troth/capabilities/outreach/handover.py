"""Hand booked messages over, deciding once more right before each leaves."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import msgspec

from troth.capabilities.outreach import measuring
from troth.capabilities.outreach.booking import job_kind, uncollected
from troth.capabilities.outreach.model import (
    BATCH,
    FROM_ACTIVITY,
    LEASE,
    REJUDGE_AFTER,
    SKELETONS,
    Campaign,
    End,
    Handed,
    Judged,
    puts_off,
)
from troth.capabilities.outreach.steps import halted
from troth.capabilities.outreach.views import judge
from troth.engines import mail
from troth.errors import Conflict
from troth.kernel import cutting, events, gate
from troth.kernel.desk import Desk
from troth.kernel.reasons import told_reasons
from troth.kernel.vault import Shredded
from troth.ports import HandoverLog, MailTransport, Mark, Transaction, View
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
    Reason,
    ReasonCode,
    Refusal,
    Sealed,
    address_field,
)


@dataclass(slots=True)
class _Leased:
    job: Job
    person: PersonId
    number: int
    written: frozenset[str]
    rec: bytes = b""
    refusal: Refusal | None = None
    erased: bool = False
    judged: Judged | None = None
    size: int = -1
    mark: Mark | None = None
    detail: str = ""
    noted: frozenset[str] = frozenset()
    outdated: bool = False


def _leased(job: Job, person: PersonId) -> _Leased:
    if job.payload.startswith(b"["):  # booked before messages waited in their jobs
        _, number, written = msgspec.json.decode(job.payload)
        return _Leased(job, person, number, frozenset(written))
    _, number, written, rec = _payload.decode(job.payload)
    used = frozenset(written)
    noted = used & mail.MEASURED
    return _Leased(job, person, number, used - noted, rec, noted=noted)


_payload = msgspec.msgpack.Decoder(tuple[str, int, tuple[str, ...], bytes])


class WorkerLog(HandoverLog, Protocol):
    """A hand-over journal that also says what its worker has taken."""

    def took(self, taken: Mapping[str, int]) -> None:
        """Note refs taken, each with its job's fence, before any is begun."""
        ...


class _Noting:
    """A journal that remembers what it noted: what was not begun may be given back."""

    def __init__(self, log: WorkerLog) -> None:
        self._log = log
        self.begun: set[str] = set()

    def took(self, taken: Mapping[str, int]) -> None:
        self.begun.clear()
        if taken:
            self._log.took(taken)

    def start(self, ref: str) -> None:
        self.begun.add(ref)
        self._log.start(ref)

    def reply(self, ref: str, code: int) -> None:
        self._log.reply(ref, code)


OUTDATED = Refusal((Reason(ReasonCode.CATEGORY_NOT_AGREED, "person.wish"),))
"""What a message was made from was deleted, or excluded, after it was written."""
NOT_NOTED = Refusal((Reason(ReasonCode.CATEGORY_NOT_AGREED, "house.categories"),))
GRACE = LEASE // 2
"""No message is begun later in a lease: relays are slow, and who takes over must not meet it."""


class Courier:
    """Hands booked messages over, deciding once more for each right before it leaves."""

    def __init__(  # noqa: PLR0913 - the parts of a worker
        self,
        desk: Desk,
        campaign: Campaign,
        transport: MailTransport,
        log: WorkerLog,
        actor: Actor,
        others: Callable[[], Mapping[str, Outcome]] = dict,
    ) -> None:
        """Work on one campaign with one connection and one hand-over journal.

        Args:
            desk: The desk.
            campaign: Whose messages.
            transport: The way to the relay.
            log: This worker's own journal.
            actor: Who sends.
            others: What the journals of all workers say; asked where a job was taken before.
        """
        self._desk = desk
        self._campaign = campaign
        self._transport = transport
        self._log = _Noting(log)
        self._actor = actor
        self._others = others
        self._leased: dict[str, _Leased] = {}
        self._until = Instant(0)
        self._house_head = NO_HEAD
        self._skeletons: dict[bytes, mail.Skeleton] = {}

    def recover(
        self,
        journal: Mapping[str, Outcome],
        totals: Handed,
        taken: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """Book what a killed worker began; a start without a reply is unknown, never resent.

        Args:
            journal: What its journal says of each message it began.
            totals: Counted on.
            taken: What it had taken and not begun, with the fence it was taken under: free again
                at once, unless somebody else took it since.
        """
        with self._desk.store.look() as view:
            open_jobs = view.jobs(job_kind(self._campaign.name), "leased")
        if not open_jobs:
            return
        if journal:
            leased = self._lease(journal.keys())
            self._settle({ref: journal[ref] for ref in leased}, totals)
        self._free({ref: fence for ref, fence in taken.items() if ref not in journal})

    def _free(self, taken: Mapping[str, int]) -> None:
        """Let go of leases that are still what they were when their worker died."""
        left = dict(taken)
        while left:
            try:
                with self._desk.store.book() as tx:
                    jobs = tx.seize(job_kind(self._campaign.name), list(left), tx.now)
                    theirs = [job.key for job in jobs if job.fence - 1 != left[job.key]]
                    if theirs:
                        raise Conflict("another worker took them over")  # noqa: TRY301 - undone
            except Conflict:
                left = {ref: fence for ref, fence in left.items() if ref not in theirs}
            else:
                return

    def withdraw(self, why: str, totals: Handed) -> None:
        """End what a stopped campaign had booked: withheld, with `why` as its detail."""
        while self._lease():
            ends: list[tuple[_Leased, End, Outcome | None]] = []
            for entry in self._leased.values():
                entry.detail = why
                ends.append((entry, End.WITHHELD, None))
            self._book_ends(ends)
            totals.withheld[why] += len(ends)

    def _halted(self) -> bool:
        with self._desk.store.look() as view:
            return halted(view, self._campaign.name)

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
        if only is None:
            self._log.took({ref: entry.job.fence for ref, entry in self._leased.items()})
        return self._leased

    def _begun_before(self) -> dict[str, Outcome]:
        """Return what another worker began of the jobs at hand: its lease ran out on the way."""
        again = {ref for ref, entry in self._leased.items() if entry.job.fence > 1}
        if not again:
            return {}
        return {ref: told for ref, told in self._others().items() if ref in again}

    def run(self, totals: Handed, progress: Callable[[int], None] = lambda _done: None) -> None:
        """Hand over until nothing is ready; a lost connection leaves the rest ready.

        Raises:
            Unavailable: The relay cannot be reached; messages not begun stay booked.
        """
        while not self._halted() and self._lease():
            outcomes = self._begun_before()
            self._log.begun.update(outcomes)
            with uncollected():
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
        mark = desk.store.mark()
        with desk.store.look() as view:
            unheld = None if halted(view, self._campaign.name) else mark
            people = [entry.person for entry in self._leased.values()]
            desk.vault.keys.load(people, view.now)
            written = {entry.person: entry.written for entry in self._leased.values()}
            judged = {
                j.gathered.person: j
                for j in judge(desk, view, self._campaign, people, self._actor, written)
            }
            fields = [address_field(self._campaign.channel)]
            if not all(entry.rec for entry in self._leased.values()):
                fields.append(self._outgoing)
            rows = view.sealed(people, fields)
            now, size = view.now, view.log.size
            self._house_head = desk.head(view, desk.scribe.house)
            for entry in self._leased.values():
                entry.outdated = self._is_outdated(view, entry)
        for ref, entry in self._leased.items():
            found = judged.get(entry.person)
            entry.judged, entry.size, entry.mark = found, size, unheld
            if ref in self._log.begun:
                continue
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
        row = Sealed(self._outgoing, entry.number, 1, entry.rec) if entry.rec else None
        for held in rows:
            if held.field == self._outgoing and held.row == entry.number:
                row = held
        if found is None or row is None:
            entry.erased = True
            return None
        answer = self._answer(entry, found)
        if isinstance(answer, Refusal):
            entry.refusal = answer
            return None
        try:
            address = [r for r in rows if r.field == address_field(self._campaign.channel)]
            to = self._desk.vault.open(answer, address, now)
            data = self._desk.vault.open_outgoing(answer, row, now)
            if entry.rec:
                data = mail.unpack(data, self._skeleton)
        except Shredded:
            entry.erased = True
            return None
        sender = self._campaign.sender.from_address
        recipient = to[address_field(self._campaign.channel)]
        return Outgoing(ref, sender, recipient, data, answer.until)

    @property
    def _outgoing(self) -> str:
        return f"outgoing:{self._campaign.purpose}"

    def _skeleton(self, key: bytes) -> mail.Skeleton:
        held = self._skeletons.get(key)
        if held is None:
            with self._desk.store.look() as view:
                data = view.row(SKELETONS, key) or b""
            held = self._skeletons[key] = mail.Skeleton.read(key, data)
        return held

    def _may_go(self, ref: str) -> bool:
        """Ask again, before the envelope and before the body, if anything was recorded since.

        Every call is a look of its own; the permit at hand serves only while that look shows
        everything it rests on just as it was: first of all, where nothing at all was recorded.
        """
        entry = self._leased[ref]
        if self._nothing_since(entry):
            return True
        mark = self._desk.store.mark()
        with self._desk.store.look() as view:
            if view.now >= self._until - GRACE:
                return False  # once the lease is over another worker may hold these jobs
            if halted(view, self._campaign.name):
                return False
            if self._as_judged(view, entry):
                entry.mark = mark
                return True
            written = {entry.person: entry.written}
            found = judge(self._desk, view, self._campaign, [entry.person], self._actor, written)
            entry.outdated = self._is_outdated(view, entry)
        if not found:
            entry.erased = True
            return False
        answer = self._answer(entry, found[0])
        entry.refusal = answer if isinstance(answer, Refusal) else None
        return entry.refusal is None

    def _nothing_since(self, entry: _Leased) -> bool:
        """Tell whether nobody recorded anything since an entry was last looked at, moments ago."""
        if entry.mark is None or (ends := self._ends(entry)) is None:
            return False
        now = self._desk.store.unchanged(entry.mark)
        return now is not None and ends[0] <= now < min(ends[1], self._until - GRACE)

    def _ends(self, entry: _Leased) -> tuple[int, int] | None:
        """Return from when until when a judgment may stand unasked; None where it may not."""
        judged = entry.judged
        if judged is None or isinstance(judged.answer, Refusal) or not judged.gathered.contact:
            return None
        kind = judged.facts.house.purposes[self._campaign.purpose].kind
        if kind is PurposeKind.CONSENT_REQUEST:  # whether an address was asked is no event
            return None
        at = judged.request.at
        return at, min(at + REJUDGE_AFTER, judged.answer.until)

    def _is_outdated(self, view: View, entry: _Leased) -> bool:
        """Tell whether activity a message was made from was deleted since; a look-up each."""
        uses = bool(entry.written & FROM_ACTIVITY)
        last = cutting.outdated_since(view, entry.person) if uses else 0
        if not last:
            return False
        try:
            chain = self._desk.scribe.chain(view, entry.person)
        except Shredded:
            return True
        booked = (
            each.event.n
            for each in chain
            if isinstance(each.event.payload, events.MessageBooked)
            and each.event.payload.ref == entry.job.key
        )
        return next(booked, 0) < last

    def _answer(self, entry: _Leased, found: Judged) -> gate.Permit | Refusal:
        """Return the decision, which is a no too where the message would note more than agreed."""
        if entry.outdated and not isinstance(found.answer, Refusal):
            return OUTDATED
        if not entry.noted or isinstance(found.answer, Refusal):
            return found.answer
        house, at = found.facts.house, found.request.at
        if measuring.stands(self._desk, house, found.gathered, at, entry.noted):
            return found.answer
        return NOT_NOTED

    def _as_judged(self, view: View, entry: _Leased) -> bool:
        """Tell whether a judgment stands: same house, ledger, suppressions, and moments ago.

        Where the ledger grew, the person and the house's own chain must be as they were.
        """
        judged, ends = entry.judged, self._ends(entry)
        if judged is None or ends is None or not ends[0] <= view.now < ends[1]:
            return False
        was, contact = judged.gathered, judged.gathered.contact
        if contact is None or view.house_version != judged.facts.house.version:
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
        back: list[str] = []  # not begun: a pause, a lost connection or a long batch came first
        taken = Instant(self._until - LEASE)
        for ref, entry in self._leased.items():
            outcome = outcomes.get(ref)
            if outcome is not None and outcome.state != "withdrawn":
                ends.append((entry, End(outcome.state), outcome))
            elif entry.erased or (
                entry.refusal is not None and not puts_off(self._campaign, entry.refusal, taken)
            ):
                ends.append((entry, End.WITHHELD, None))
            elif entry.refusal is None and ref not in self._log.begun:
                back.append(ref)
        self._book_ends(ends)
        if back:
            with self._desk.store.book() as tx:  # a lease over at once is anybody's again
                tx.seize(job_kind(self._campaign.name), back, tx.now)
        for entry, end, _ in ends:
            if end is End.WITHHELD:
                refusal = None if entry.erased else entry.refusal
                totals.withheld[refusal.first.code if refusal else "erased"] += 1
            else:
                setattr(totals, end, getattr(totals, end) + 1)

    def _book_ends(self, ends: "Ends") -> None:
        desk = self._desk
        left = list(ends)
        heads = {e.person: e.judged.gathered for e, _, _ in left if e.judged}
        heads = heads if len(heads) == len(left) else {}
        while left:
            with desk.store.look() as view:
                if not heads:  # one moved meanwhile, or nothing was looked at before
                    found = view.gather([e.person for e, _, _ in left], None)
                    heads = {g.person: g for g in found}
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
                        campaign=self._campaign.name,
                        detail=entry.detail or None,
                    )
                    told = [self._outcome(said)]
                    try:
                        prepared += desk.scribe.prepare(
                            entry.person, known.head, told, self._actor, view.now
                        )
                    except Shredded:
                        entry.erased = True
            with desk.store.book() as tx:
                moved = tx.append(prepared)
                ended = [(entry, end) for entry, end, _ in left if entry.person not in moved]
                _finish(tx, [(entry.job, end) for entry, end in ended])
                for entry, _ in ended:
                    if entry.person in heads and not entry.rec:
                        tx.drop_row(entry.person, self._outgoing, entry.number)
            left, heads = [e for e in left if e[0].person in moved], {}

    def _outcome(self, said: events.MessageOutcome) -> events.MessageOutcome:
        """Return the event of an end as it is recorded."""
        return said


Ends = Sequence[tuple[_Leased, End, Outcome | None]]
"""What became of leased messages."""


def _finish(tx: Transaction, ended: Sequence[tuple[Job, End]]) -> None:
    """End jobs; an erasure took one along, or a second worker took it over: then it is theirs."""
    try:
        tx.finish(ended)
    except Conflict:
        for each in ended:
            with suppress(Conflict):
                tx.finish([each])
