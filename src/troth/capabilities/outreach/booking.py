"""Decide, render and book: one short write a batch; a repeated run books nobody twice."""

import gc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec

from troth.capabilities.outreach import clicks, measuring
from troth.capabilities.outreach.model import (
    BATCH,
    DONE,
    JOB,
    SKELETONS,
    TOKEN_LIFE,
    TOKENS,
    WEEKS,
    Booked,
    Campaign,
    Judged,
    Rendered,
    Writer,
    done_key,
    puts_off,
)
from troth.capabilities.outreach.rendering import FRESH_BYTES
from troth.capabilities.outreach.views import judge, members_root
from troth.crypto import NONCE_BYTES
from troth.errors import Conflict
from troth.kernel import events, gate, restrictions, scribe, telling
from troth.kernel.desk import ASK_ONCE, Desk, put_pointer
from troth.kernel.vault import Shredded
from troth.ports import Transaction, View
from troth.terms import (
    Action,
    Actor,
    Instant,
    PersonId,
    Prepared,
    PurposeKind,
    Refusal,
    Sealed,
    address_field,
)


def book(
    renderer: Writer,
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
        members=members_root(desk, people),
        purpose=campaign.purpose,
        campaign=campaign.name,
    )
    desk.record_house(told, actor)
    totals = Booked()
    for start in range(0, len(people), BATCH):
        left: Sequence[PersonId] = people[start : start + BATCH]
        tries = 0
        while left:
            try:
                with uncollected():
                    left = _book_batch(renderer, left, actor, real_seconds(), totals)
            except Conflict:  # something was published meanwhile: decide again under it
                tries += 1
                if tries == RETRIES:
                    raise
        progress(min(start + BATCH, len(people)))
    return totals


@contextmanager
def uncollected() -> Iterator[None]:
    """Put off the search for unreachable circles while a batch, which makes none, is worked on."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


RETRIES = 20
"""How often a batch is decided again because something was published between look and book."""


def _size(desk: Desk) -> int:
    with desk.store.look() as view:
        return view.log.size


def job_kind(campaign_name: str) -> str:
    """Name the kind of a campaign's jobs, so that no courier takes those of another."""
    return f"{JOB}/{campaign_name}"


@dataclass(slots=True)
class _Batch:
    """What became of a batch before it is booked: events, messages, and whom nothing is sent."""

    prepared: list[Prepared] = field(default_factory=list)
    ready: list[tuple[Rendered, Sealed]] = field(default_factory=list)
    told: list[Judged] = field(default_factory=list)
    put_off: list[Judged] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)
    unrendered: list[PersonId] = field(default_factory=list)


def _book_batch(
    renderer: Writer,
    people: Sequence[PersonId],
    actor: Actor,
    signed_at_s: int,
    totals: Booked,
) -> Sequence[PersonId]:
    desk, campaign = renderer.desk, renderer.campaign
    with desk.store.look() as view:
        done = _already(view, campaign, people)
        fresh = [p for p in people if p not in done]
        house_version = view.house_version
        judged = judge(desk, view, campaign, fresh, actor)
        desk.vault.keys.load([j.gathered.person for j in judged], view.now)
        batch = _written(renderer, view, judged, actor, signed_at_s)
    moved = _commit(desk, campaign, batch, house_version, _asks(judged))
    totals.already += len(done)
    batch.lost["not_renderable"] += sum(person not in moved for person in batch.unrendered)
    totals.refused += +batch.lost
    totals.put_off += batch.put_off
    _count(batch.told, moved, totals)
    return list(moved)


def _written(
    renderer: Writer, view: View, judged: Sequence[Judged], actor: Actor, signed_at_s: int
) -> _Batch:
    """Write every message and event of a batch; nothing of it is anywhere but in memory."""
    desk, campaign, now, batch = renderer.desk, renderer.campaign, view.now, _Batch()
    rows = _rows(view, campaign, judged)
    drawn = _Drawn(desk.randomness.take(_PER_MESSAGE * len(judged)))
    permitted: list[Judged] = []
    for j in judged:
        if puts_off(campaign, j.answer, now):
            batch.put_off.append(j)
        elif not isinstance(j.answer, Refusal):
            permitted.append(j)
        else:
            with _unless_erased(batch):
                batch.prepared += _refusal_event(desk, campaign, j, j.answer, actor, now)
                batch.told.append(j)
    wanted = [(j, rows.get(j.gathered.person, ()), drawn.take(FRESH_BYTES)) for j in permitted]
    for j, rendered in zip(permitted, renderer.render_all(view, wanted, signed_at_s), strict=True):
        with _unless_erased(batch):
            if isinstance(rendered, Shredded):
                raise rendered
            if isinstance(rendered, Rendered):
                _add(renderer, batch, rendered, actor, now, drawn)
            else:
                batch.prepared += _unrendered_event(desk, campaign, j, actor, now)
                batch.unrendered.append(j.gathered.person)
    return batch


@contextmanager
def _unless_erased(batch: _Batch) -> Iterator[None]:
    try:
        yield
    except Shredded:
        batch.lost["erased"] += 1


def _add(  # noqa: PLR0913 - one message of a batch
    renderer: Writer,
    batch: _Batch,
    rendered: Rendered,
    actor: Actor,
    now: Instant,
    drawn: "_Drawn",
) -> None:
    """Seal a message until it leaves, and write its event."""
    desk, campaign, permit = renderer.desk, renderer.campaign, rendered.judged.answer
    if isinstance(permit, Refusal):
        return
    sealed = desk.vault.seal_outgoing(
        rendered.judged.gathered.person,
        campaign.purpose,
        rendered.number,
        rendered.packed,
        now,
        drawn.take(NONCE_BYTES),
    )
    fresh = drawn.take(_EVENT)
    batch.prepared += _booked_event(desk, campaign, rendered, permit, actor, now, fresh)
    batch.ready.append((rendered, sealed))
    batch.told.append(rendered.judged)


def _commit(
    desk: Desk,
    campaign: Campaign,
    batch: _Batch,
    house_version: int,
    asks: bool,  # noqa: FBT001
) -> frozenset[PersonId]:
    """Book a batch in one short write; return whose chain moved: they are looked at again."""
    ready = batch.ready
    if asks:  # before the commit: what is asked of nobody after all is asked never again, no more
        _journal_asked(desk, ready)
    with desk.store.book(house_version) as tx:
        late = _asked_meanwhile(tx, campaign, ready) if asks else frozenset()
        moved = tx.append([p for p in batch.prepared if p.person not in late]) | late
        for skeleton in {r.skeleton.key: r.skeleton for r, _ in ready}.values():
            tx.claim_row(SKELETONS, skeleton.key, skeleton.data)
        if ready:
            clicks.keep(tx, desk, campaign.name, ready[0][0].targets)
        for rendered, sealed in ready:
            person = rendered.judged.gathered.person
            if person not in moved:
                _keep(tx, desk, campaign, rendered, sealed)
            elif person not in late and asks:
                _unclaim(tx, rendered)
    return moved


_EVENT = scribe.FRESH_BYTES
_PER_MESSAGE = FRESH_BYTES + NONCE_BYTES + _EVENT


class _Drawn:
    """Randomness drawn in one system call for one batch; each byte is used once, the rest never.

    Lives as long as the batch, in one thread: nothing is left over that a fork could see twice.
    """

    def __init__(self, drawn: bytes) -> None:
        self._drawn, self._at = drawn, 0

    def take(self, count: int) -> bytes:
        self._at += count
        return self._drawn[self._at - count : self._at]


def _already(view: View, campaign: Campaign, people: Sequence[PersonId]) -> set[PersonId]:
    """Return for whom this campaign booked a message before; `people` in order costs one read."""
    first, last = done_key(campaign, min(people)), done_key(campaign, max(people))
    before = first[:-1] if first else first
    found = view.rows(DONE, first[:8], before, BATCH)
    if len(found) < BATCH or found[-1][0] > last:
        return {PersonId(key[8:]) for key, _ in found}.intersection(people)
    return {p for p in people if view.row(DONE, done_key(campaign, p)) is not None}


def _keep_shared(
    tx: Transaction, desk: Desk, campaign: Campaign, ready: Sequence[tuple[Rendered, Sealed]]
) -> None:
    """Keep what the messages of a batch have in common: constant bytes, where links lead."""
    for skeleton in {r.skeleton.key: r.skeleton for r, _ in ready}.values():
        tx.claim_row(SKELETONS, skeleton.key, skeleton.data)
    if ready:
        clicks.keep(tx, desk, campaign.name, ready[0][0].targets)


def _keep(
    tx: Transaction, desk: Desk, campaign: Campaign, rendered: Rendered, sealed: Sealed
) -> None:
    """Keep a booked message: sealed, as a job, with its stop token and the campaign's mark."""
    person = rendered.judged.gathered.person
    payload = _job_payload(campaign, rendered, sealed)
    tx.enqueue(job_kind(campaign.name), rendered.ref, payload, person)
    token = _token(campaign, rendered, sealed_at(rendered))
    beside = [(TOKENS, desk.token_key(rendered.token), token)]
    if rendered.mark:
        at = sealed_at(rendered)
        beside.append(
            measuring.mark_row(desk, rendered.mark, person, rendered.ref, campaign.name, at)
        )
    put_pointer(tx, person, DONE, done_key(campaign, person), b"1", beside)


def sealed_at(rendered: Rendered) -> Instant:
    """Return the look a message was written from."""
    return rendered.judged.request.at


def _asks(judged: Sequence[Judged]) -> bool:
    """Say whether this campaign is the one permitted request for consent."""
    if not judged:
        return False
    purpose = judged[0].facts.house.purposes.get(judged[0].request.purpose)
    return purpose is not None and purpose.kind is PurposeKind.CONSENT_REQUEST


def _journal_asked(desk: Desk, ready: Sequence[tuple[Rendered, Sealed]]) -> None:
    """Note whose one request this is: a restore of an older record must not ask them again."""
    found = [rendered.judged.gathered.contact for rendered, _ in ready]
    with desk.store.look() as view:
        seq = view.log.size
    desk.journal.note_all(restrictions.asked([each.sup for each in found if each], seq))


def _asked_meanwhile(
    tx: Transaction, campaign: Campaign, ready: Sequence[tuple[Rendered, Sealed]]
) -> frozenset[PersonId]:
    """Claim each address's one request; return whose was taken since the look: look again."""
    late = set()
    for rendered, _ in ready:
        gathered = rendered.judged.gathered
        mark = done_key(campaign, gathered.person)
        if gathered.contact is None or not tx.claim_row(ASK_ONCE, gathered.contact.sup, mark):
            late.add(gathered.person)
    return frozenset(late)


def _unclaim(tx: Transaction, rendered: Rendered) -> None:
    """Give the one request back where nothing was booked after all."""
    contact = rendered.judged.gathered.contact
    if contact is not None:
        tx.put_row(ASK_ONCE, contact.sup, None)


def _rows(
    view: View, campaign: Campaign, judged: Iterable[Judged]
) -> dict[PersonId, list[Sealed]]:
    """Read the sealed rows of those permitted; behaviour only where a permit reaches it."""
    permits = [j.answer for j in judged if not isinstance(j.answer, Refusal)]
    fields = [address_field(campaign.channel), "name.given", "interests"]
    near = [p.person for p in permits if p.categories.keys() & WEEKS.keys()]
    far = [p.person for p in permits if not p.categories.keys() & WEEKS.keys()]
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
    inputs = gate.inputs_digest(judged.request, judged.facts)
    house = judged.facts.house
    said = telling.refused(judged.request, refusal, house, inputs, campaign.name)
    return desk.scribe.prepare(judged.gathered.person, judged.gathered.head, [said], actor, now)


def _unrendered_event(
    desk: Desk, campaign: Campaign, judged: Judged, actor: Actor, now: Instant
) -> list[Prepared]:
    """Say in a person's chain that a message was agreed to and could not be written for them."""
    said = events.UseRefused(
        purpose=campaign.purpose,
        action=Action.SEND,
        reasons=({"code": "not_renderable", "rule": "house.template"},),
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
    fresh: bytes,
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
    person, head = judged.gathered.person, judged.gathered.head
    if rendered.measured:
        first = [measuring.told(each) for each in rendered.measured]
        return desk.scribe.prepare(person, head, [*first, said], actor, now)
    return desk.scribe.prepare(person, head, [said], actor, now, fresh)


def _job_payload(campaign: Campaign, rendered: Rendered, sealed: Sealed) -> bytes:
    noted = measuring.categories_of(rendered.measured)
    used = sorted(rendered.judged.request.categories | noted)
    return msgspec.msgpack.encode((campaign.name, rendered.number, used, sealed.rec))


def _token(campaign: Campaign, rendered: Rendered, now: Instant) -> bytes:
    gathered = rendered.judged.gathered
    expires = now + TOKEN_LIFE
    return msgspec.json.encode(
        [
            gathered.person.hex(),
            campaign.purpose,
            campaign.channel,
            expires,
            campaign.name,
            rendered.ref,
            rendered.shown,
            gathered.contact.sup.hex() if gathered.contact else "",
        ]
    )
