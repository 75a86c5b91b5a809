"""Outreach: preview an audience, book personalised messages, hand them over: one door.

Look, decide, book, act. Nobody is mailed without a permit of this very moment: candidates are only
narrowed to, decided one by one before a message is rendered, and decided again before it is handed
over. What was booked is sealed until it leaves and gone afterwards.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

import msgspec

from troth import crypto
from troth.engines import mail, ranking
from troth.errors import Conflict, InvalidInput
from troth.kernel import consent, events, gate, ledger
from troth.kernel.desk import Desk, put_pointer
from troth.kernel.facts import Facts, House
from troth.kernel.vault import Chunk, Shredded
from troth.ports import HandoverLog, MailTransport, Transaction, View
from troth.terms import (
    DAY,
    NO_HEAD,
    SECOND,
    Action,
    Actor,
    Channel,
    Claim,
    Gathered,
    Instant,
    Job,
    Outcome,
    Outgoing,
    PersonId,
    Prepared,
    Published,
    PurposeKind,
    Reason,
    Refusal,
    Sealed,
    UseRequest,
    moment,
)

BATCH = 250
LEASE = 600 * SECOND
REJUDGE_AFTER = 5 * SECOND
TOKENS = "preferences.token"
TOKEN_LIFE = 400 * DAY
JOB = "outreach.mail"
_WEEKS = {"purchases.13w": 13, "purchases.52w": 52}
FAVOURITES = 4
Value = str | Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Sender:
    """A brand as its messages name it.

    Attributes:
        base_url: Where the brand's own pages are, https, without a final slash.
    """

    brand: str
    from_name: str
    from_address: str
    list_id: str
    base_url: str
    domain: str


@dataclass(frozen=True, slots=True)
class Campaign:
    """What is sent to whom, under which purpose.

    Attributes:
        expression: SHA-256 of the audience expression that narrows.
        template: Published version of the template.
    """

    name: str
    purpose: str
    expression: str
    template: Published
    sender: Sender
    channel: Channel = Channel.EMAIL


@dataclass(frozen=True, slots=True)
class Shelf:
    """What personal lines are made of, besides the person: item names, and who shops alike."""

    names: Mapping[str, str]
    alike: ranking.Alike


@dataclass(frozen=True, slots=True)
class Preview:
    """What a campaign would do now; each person is counted once, by first reason."""

    candidates: int
    reachable: int
    by_level: Mapping[int, int]
    refused: Mapping[str, int]
    at: Instant
    house_version: int


def request_for(
    campaign: Campaign, person: PersonId | None, actor: Actor, at: Instant
) -> UseRequest:
    """Return the use a campaign asks for; its categories are filled in per person."""
    return UseRequest(
        actor=actor,
        person=person,
        purpose=campaign.purpose,
        action=Action.SEND,
        channel=campaign.channel,
        categories=frozenset(),
        at=at,
        brand=campaign.sender.brand,
    )


@dataclass(frozen=True, slots=True)
class Judged:
    """One candidate's answer at one look."""

    gathered: Gathered
    request: UseRequest
    facts: Facts
    answer: gate.Permit | Refusal
    level: int


def judge(  # noqa: PLR0913 - a batch, and what was written to it
    desk: Desk,
    view: View,
    campaign: Campaign,
    people: Sequence[PersonId],
    actor: Actor,
    written: Mapping[PersonId, frozenset[str]] = MappingProxyType({}),
) -> list[Judged]:
    """Decide for a batch of candidates at one look; unknown ids are left out.

    For somebody in `written` the question is about the categories their message was written from,
    for the others about those that they agree to now.
    """
    house = desk.house(view)
    claim = desk.claim(request_for(campaign, None, actor, view.now), house)
    out = []
    for gathered in view.gather(people, campaign.channel):
        used = written.get(gathered.person)
        out.append(_judge_one(desk, view, campaign, gathered, actor, house, claim, used))
    return out


def _judge_one(  # noqa: PLR0913 - one candidate of a batch
    desk: Desk,
    view: View,
    campaign: Campaign,
    gathered: Gathered,
    actor: Actor,
    house: House,
    claim: Claim | Refusal,
    used: frozenset[str] | None,
) -> Judged:
    plain = request_for(campaign, gathered.person, actor, view.now)
    facts = desk.facts(view, plain, claim, gathered)
    request = replace(
        plain, categories=gate.allowed_categories(plain, facts) if used is None else used
    )
    answer = gate.decide(request, facts)
    level = consent.level(gathered.record, house, view.now, ground=isinstance(answer, gate.Permit))
    return Judged(gathered, request, facts, answer, level)


def _members(desk: Desk, people: Iterable[PersonId]) -> str:
    digests = sorted(desk.scribe.member(p) for p in people)
    return ledger.subtree_root(ledger.leaf_hashes(digests)).hex()


def preview(desk: Desk, campaign: Campaign, people: Sequence[PersonId], actor: Actor) -> Preview:
    """Say who would be reached and who not, and why; one house event, nobody named in it.

    Costs about 20 µs a candidate; opens nothing.
    """
    refused: Counter[str] = Counter()
    levels: Counter[int] = Counter()
    with desk.store.look() as view:
        for start in range(0, len(people), 2 * BATCH):
            for judged in judge(desk, view, campaign, people[start : start + 2 * BATCH], actor):
                if isinstance(judged.answer, Refusal):
                    refused[judged.answer.first.code] += 1
                else:
                    levels[judged.level] += 1
        now, version, size = view.now, view.house_version, view.log.size
    reachable = sum(levels.values())
    told = events.SetProcessed(
        work="preview",
        expression=campaign.expression,
        generation=size,
        counts={"reachable": reachable, **dict(sorted(refused.items()))},
        members=_members(desk, people),
        purpose=campaign.purpose,
        campaign=campaign.name,
    )
    desk.record_house(told, actor)
    return Preview(
        len(people), reachable, dict(sorted(levels.items())), dict(refused), now, version
    )


# Rendering


def open_values(desk: Desk, view: View, judged: Judged, rows: Sequence[Sealed]) -> dict[str, str]:
    """Open name and interests as far as the permit goes."""
    permit = judged.answer
    if isinstance(permit, Refusal):
        raise InvalidInput("nothing is opened on a refusal")
    wanted = [
        r
        for r in rows
        if "/" not in r.field
        and ":" not in r.field
        and (
            desk.vault.category(r.field) in permit.categories
            or r.field == f"contact.{permit.request.channel}"
        )
    ]
    return desk.vault.open(permit, wanted, view.now)


_USED = {
    "identity.name": "your first name",
    "interests.declared": "the interests you told us",
    "purchases.13w": "what you bought in the last 13 weeks",
    "purchases.52w": "what you bought in the last year",
    "cohort.compare": "what people with baskets like yours buy",
}
_BASIS = {
    "consent": "You agreed to offers from us.",
    "customer_exception": "You bought from us, and could object to offers then and now.",
}


def compose(  # noqa: PLR0913 - a permit and what it opens
    desk: Desk,
    view: View,
    permit: gate.Permit,
    opened: Mapping[str, str],
    rows: Sequence[Sealed],
    shelf: Shelf,
) -> dict[str, Value]:
    """Make the personal values of a message from what the permit opens; nothing else is read."""
    values: dict[str, Value] = {}
    if opened.get("name.given"):
        values["first_name"] = opened["name.given"][:40]
    if opened.get("interests"):
        told = opened["interests"].split(";")[:3]
        values["interest_line"] = f"You told us you like {_and(told)}; we keep an eye out for you."
    history = _history(desk, view, permit, rows)
    for category, lines in history.items():
        values |= _FROM_HISTORY[category](view, lines, shelf)
    used = [_USED[c] for c in _USED if c in permit.categories and _shows(c, values)]
    if used:
        values["used"] = f"We used {_and(used)}; nothing else."
    values["why"] = _BASIS.get(permit.basis, "This is about something you asked for.")
    return values


def _shows(category: str, values: Mapping[str, Value]) -> bool:
    slot = {
        "identity.name": "first_name",
        "interests.declared": "interest_line",
        "purchases.13w": "favourites",
        "purchases.52w": "year_line",
        "cohort.compare": "alike_line",
    }[category]
    return bool(values.get(slot))


def _and(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _lines(chunks: Iterable[Chunk]) -> Iterator[tuple[int, str, int]]:
    for chunk in chunks:
        bought = {i for i, kind in enumerate(chunk.kinds) if kind == "purchase"}
        for at, kind, item, units in zip(
            chunk.at, chunk.kind, chunk.item, chunk.units, strict=True
        ):
            if kind in bought:
                yield at, chunk.items[item], units


def _history(
    desk: Desk, view: View, permit: gate.Permit, rows: Sequence[Sealed]
) -> dict[str, list[tuple[int, str, int]]]:
    """Open what a person bought, each chunk once, cut to what each permitted category reaches."""
    reached = [c for c in _WEEKS if c in permit.categories]
    if not reached:
        return {}
    behaviour = [r for r in rows if r.field.startswith("purchases/")]
    near = _since(behaviour, view.now, max(_WEEKS[c] for c in reached))
    windows = desk.vault.open_windows(permit, near, reached, view.now)
    lines = {category: list(_lines(chunks)) for category, chunks in windows.items()}
    if "cohort.compare" in permit.categories and "purchases.52w" in lines:
        lines["cohort.compare"] = lines["purchases.52w"]
    return lines


Lines = Sequence[tuple[int, str, int]]


def _recent(view: View, lines: Lines, shelf: Shelf) -> dict[str, Value]:
    found = ranking.favourites(lines, shelf.names, FAVOURITES)
    since = _month(view.now - _WEEKS["purchases.13w"] * 7 * DAY)
    items = [
        {"title": shelf.names[f.item][:60], "note": f"{_times(f.times)} since {since}"}
        for f in found
    ]
    return {"favourites": items} if items else {}


def _year(_view: View, lines: Lines, shelf: Shelf) -> dict[str, Value]:
    found = ranking.favourites(lines, shelf.names, 1)
    if not found:
        return {}
    visits = len({at // DAY for at, _, _ in lines})
    best = shelf.names[found[0].item]
    days = "one day" if visits == 1 else f"{visits} days"
    return {
        "year_line": f"You came by on {days} this year. What you took home most often: {best}."
    }


def _alike(_view: View, lines: Lines, shelf: Shelf) -> dict[str, Value]:
    if not shelf.alike.beside:
        return {}
    held = [f.item for f in ranking.favourites(lines, shelf.names, ranking.BASKET_ITEMS)]
    names = [shelf.names[i] for i in ranking.rank(shelf.alike, held, 2)]
    return {"alike_line": f"They also take home {_and(names)}."} if names else {}


_FROM_HISTORY: dict[str, Callable[..., dict[str, Value]]] = {
    "purchases.13w": _recent,
    "purchases.52w": _year,
    "cohort.compare": _alike,
}


def _since(rows: Sequence[Sealed], now: Instant, weeks: int) -> list[Sealed]:
    first = moment(Instant(now - weeks * 7 * DAY)).date()
    oldest = f"purchases/{first.year}Q{(first.month + 2) // 3}"
    return [r for r in rows if r.field >= oldest]


def _times(count: int) -> str:
    return {1: "Bought once", 2: "Bought twice"}.get(count, f"Bought {count} times")


_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def _month(at: int) -> str:
    return _MONTHS[moment(Instant(at)).month - 1]


@dataclass(frozen=True, slots=True)
class Rendered:
    """One person's message, signed, with all that its booking needs."""

    judged: Judged
    ref: str
    number: int
    token: str
    data: bytes
    subject: str
    content: str
    message_id: str


class Renderer:
    """Fills and signs messages of one campaign; keeps compiled frames and keys."""

    def __init__(
        self, desk: Desk, campaign: Campaign, shelf: Shelf, signers: Sequence[mail.Signer]
    ) -> None:
        """Compile nothing yet; a template that does not read raises `InvalidInput`."""
        self.desk = desk
        self.campaign = campaign
        self.shelf = shelf
        self.signers = signers
        self._frames = mail.Frames(mail.parse_template(campaign.template.data.decode()))
        self._shapes: dict[tuple[object, ...], mail.Frame] = {}

    def draft(
        self, view: View, judged: Judged, rows: Sequence[Sealed], ref: str, token: str
    ) -> mail.Draft:
        """Return the unsigned message for one permitted person."""
        permit = judged.answer
        if isinstance(permit, Refusal):
            raise InvalidInput("no message is rendered on a refusal")
        sender = self.campaign.sender
        opened = open_values(self.desk, view, judged, rows)
        values = compose(self.desk, view, permit, opened, rows, self.shelf)
        stop = f"{sender.base_url}/stop/{token}"
        values |= {"stop_link": stop, "settings_link": f"{sender.base_url}/"}
        envelope = mail.Envelope(
            from_name=sender.from_name,
            from_address=sender.from_address,
            to_address=opened[f"contact.{self.campaign.channel}"],
            message_id=f"<{ref}@{sender.domain}>",
            date_s=view.now // SECOND,
            list_id=sender.list_id,
            unsubscribe_url=stop,
            ref=ref,
        )
        return self._frame(permit.request.categories, values).fill(values, envelope)

    def _frame(self, categories: frozenset[str], values: Mapping[str, Value]) -> mail.Frame:
        """Return the frame for these categories and what there is to show; found once a shape."""
        filled = tuple([(k, 0 if type(v) is str else len(v)) for k, v in values.items() if v])
        frame = self._shapes.get((categories, filled))
        if frame is None:
            frame = self._shapes[categories, filled] = self._frames.of(categories, values)
        return frame

    def render(
        self, view: View, judged: Judged, rows: Sequence[Sealed], signed_at_s: int
    ) -> Rendered:
        """Render and sign one message; about 450 µs, most of it the RSA signature."""
        raw = self.desk.randomness.take(16)
        number = int.from_bytes(raw[:7], "big")
        ref = f"{number:014x}{raw[7:].hex()}"
        token = self.desk.randomness.take(16).hex()
        draft = self.draft(view, judged, rows, ref, token)
        data = mail.sign(draft, self.signers, signed_at_s)
        return Rendered(
            judged,
            ref,
            number,
            token,
            data,
            draft.subject,
            crypto.sha256(data).hex(),
            f"<{ref}@{self.campaign.sender.domain}>",
        )


# Booking


@dataclass(slots=True)
class Booked:
    """Totals of a booking run."""

    booked: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    by_level: Counter[int] = field(default_factory=Counter)
    already: int = 0


def _reasons(reasons: Iterable[Reason]) -> tuple[dict[str, str], ...]:
    return tuple({"code": str(r.code), "rule": r.rule} for r in reasons)


def book(
    renderer: Renderer,
    people: Sequence[PersonId],
    actor: Actor,
    real_seconds: Callable[[], int],
    progress: Callable[[int], None] = lambda _done: None,
) -> Booked:
    """Decide, render and book one message each; refusals are booked too. Safe to repeat.

    The campaign's name and the person make one job, so that a resumed or repeated run never books
    a second message. Who changed between look and book is looked at again.

    Args:
        renderer: The campaign's.
        people: Candidates from narrowing.
        actor: Who sends.
        real_seconds: The machine's own time for DKIM, POSIX seconds.
        progress: Told after each booked batch.
    """
    desk, campaign = renderer.desk, renderer.campaign
    told = events.SetProcessed(
        work="narrow",
        expression=campaign.expression,
        generation=_size(desk),
        counts={"candidates": len(people)},
        members=_members(desk, people),
        purpose=campaign.purpose,
        campaign=campaign.name,
    )
    desk.record_house(told, actor)
    totals = Booked()
    for start in range(0, len(people), BATCH):
        left: Sequence[PersonId] = people[start : start + BATCH]
        while left:
            try:
                left = _book_batch(renderer, left, actor, real_seconds(), totals)
            except Conflict:  # something was published meanwhile: decide again under it
                continue
        progress(min(start + BATCH, len(people)))
    return totals


def _size(desk: Desk) -> int:
    with desk.store.look() as view:
        return view.log.size


def job_kind(campaign_name: str) -> str:
    """Name the kind of a campaign's jobs, so that no courier takes those of another."""
    return f"{JOB}/{campaign_name}"


def _book_batch(
    renderer: Renderer,
    people: Sequence[PersonId],
    actor: Actor,
    signed_at_s: int,
    totals: Booked,
) -> Sequence[PersonId]:
    desk, campaign = renderer.desk, renderer.campaign
    with desk.store.look() as view:
        done = {p for p in people if view.row(_DONE, _done_key(campaign, p)) is not None}
        totals.already += len(done)
        fresh = [p for p in people if p not in done]
        house_version, now = view.house_version, view.now
        judged = judge(desk, view, campaign, fresh, actor)
        desk.vault.keys.load([j.gathered.person for j in judged], now)
        rows = _rows(view, campaign, judged)
        prepared: list[Prepared] = []
        ready: list[tuple[Rendered, Sealed]] = []
        told: list[Judged] = []
        for j in judged:
            try:
                if isinstance(j.answer, Refusal):
                    prepared += _refusal_event(desk, campaign, j, j.answer, actor, now)
                else:
                    theirs = rows.get(j.gathered.person, ())
                    rendered, sealed = _rendered(renderer, view, j, theirs, signed_at_s)
                    prepared += _booked_event(desk, campaign, rendered, j.answer, actor, now)
                    ready.append((rendered, sealed))
                told.append(j)
            except Shredded:
                totals.refused["erased"] += 1
    with desk.store.book(house_version) as tx:
        moved = tx.append(prepared)
        for rendered, sealed in ready:
            person = rendered.judged.gathered.person
            if person in moved:
                continue
            tx.put_sealed(person, [sealed])
            kind = job_kind(campaign.name)
            tx.enqueue(kind, rendered.ref, _job_payload(campaign, rendered), person)
            token = _token(campaign, rendered, now)
            put_pointer(tx, person, TOKENS, _token_key(desk, rendered.token), token)
            put_pointer(tx, person, _DONE, _done_key(campaign, person), b"1")
    _count(told, moved, totals)
    return list(moved)


def _rendered(
    renderer: Renderer, view: View, judged: Judged, rows: Sequence[Sealed], signed_at_s: int
) -> tuple[Rendered, Sealed]:
    rendered = renderer.render(view, judged, rows, signed_at_s)
    sealed = renderer.desk.vault.seal_outgoing(
        judged.gathered.person,
        renderer.campaign.purpose,
        rendered.number,
        rendered.data,
        view.now,
    )
    return rendered, sealed


_DONE = "outreach.done"


def _done_key(campaign: Campaign, person: PersonId) -> bytes:
    return crypto.sha256(campaign.name.encode())[:8] + person


def _rows(
    view: View, campaign: Campaign, judged: Iterable[Judged]
) -> dict[PersonId, list[Sealed]]:
    """Read the sealed rows of those permitted; behaviour only where a permit reaches it."""
    permits = [j.answer for j in judged if not isinstance(j.answer, Refusal)]
    fields = [f"contact.{campaign.channel}", "name.given", "interests"]
    near = [p.person for p in permits if p.categories.keys() & _WEEKS.keys()]
    far = [p.person for p in permits if not p.categories.keys() & _WEEKS.keys()]
    return view.sealed(far, fields) | view.sealed(near, [*fields, "purchases/"])


def _count(judged: Iterable[Judged], moved: frozenset[PersonId], totals: Booked) -> None:
    for j in judged:
        if j.gathered.person in moved:
            continue
        if isinstance(j.answer, Refusal):
            totals.refused[j.answer.first.code] += 1
        else:
            totals.booked += 1
            totals.by_level[j.level] += 1


def _refusal_event(  # noqa: PLR0913 - an event and its place
    desk: Desk, campaign: Campaign, judged: Judged, refusal: Refusal, actor: Actor, now: Instant
) -> list[Prepared]:
    if judged.gathered.record.erasing:
        return []
    said = events.UseRefused(
        purpose=campaign.purpose,
        action=Action.SEND,
        reasons=_reasons(refusal.reasons),
        ruleset=judged.facts.house.ruleset.digest,
        inputs=gate.inputs_digest(judged.request, judged.facts),
        channel=campaign.channel,
        campaign=campaign.name,
    )
    return desk.scribe.prepare(judged.gathered.person, judged.gathered.head, [said], actor, now)


def _booked_event(  # noqa: PLR0913 - an event and its place
    desk: Desk,
    campaign: Campaign,
    rendered: Rendered,
    permit: gate.Permit,
    actor: Actor,
    now: Instant,
) -> list[Prepared]:
    judged = rendered.judged
    said = events.MessageBooked(
        ref=rendered.ref,
        purpose=campaign.purpose,
        channel=campaign.channel,
        template=campaign.template.label,
        level=judged.level,
        categories=tuple(sorted(permit.categories)),
        basis=permit.basis,
        ruleset=permit.ruleset,
        inputs=gate.inputs_digest(judged.request, judged.facts),
        message_id=rendered.message_id,
        content=rendered.content,
        campaign=campaign.name,
        waiver=permit.waiver or None,
    )
    return desk.scribe.prepare(judged.gathered.person, judged.gathered.head, [said], actor, now)


def _job_payload(campaign: Campaign, rendered: Rendered) -> bytes:
    used = sorted(rendered.judged.request.categories)
    return msgspec.json.encode([campaign.name, rendered.number, used])


def _token_key(desk: Desk, token: str) -> bytes:
    return crypto.mac(desk.vault.keys.secret("token"), token.encode())[:16]


def _token(campaign: Campaign, rendered: Rendered, now: Instant) -> bytes:
    person = rendered.judged.gathered.person.hex()
    return msgspec.json.encode([person, campaign.purpose, campaign.channel, now + TOKEN_LIFE])


# Hand-over


class End(StrEnum):
    """What became of a booked message."""

    HANDED = "handed"
    FAILED = "failed"
    UNKNOWN = "unknown"
    WITHHELD = "withheld"


@dataclass(slots=True)
class Handed:
    """Totals of a hand-over run; `withheld` counts by first reason."""

    handed: int = 0
    failed: int = 0
    unknown: int = 0
    withheld: Counter[str] = field(default_factory=Counter)


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
            until = Instant(tx.now + LEASE)
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
                        reasons=_reasons(entry.refusal.reasons) if entry.refusal else None,
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
    """End a job; an erasure took the job along with the person."""
    try:
        tx.finish([(entry.job, end)])
    except Conflict:
        if not entry.erased:
            raise
