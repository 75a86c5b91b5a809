"""Letters of service: what a person asked for or must be told, written by the house itself.

Few kinds, named in `data/letters.toml`, none of which promotes anything. A letter is decided by
the gate under the purpose of kind `service`, booked as an event of its person's chain before
anything is written down, sealed until it leaves, decided again right before, and handed over by
the courier that hands campaigns over. A stop of marketing does not hold it; an address that
bounced for good does. It counts against no cap, and goes again, under the same Message-ID, where
nobody knows whether the relay took it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from troth import crypto
from troth.capabilities.outreach.booking import job_kind
from troth.capabilities.outreach.handover import Courier, Ends
from troth.capabilities.outreach.model import SKELETONS, Campaign, Handed, Judged, Sender
from troth.capabilities.outreach.rendering import open_values
from troth.capabilities.outreach.views import judge
from troth.engines import mail
from troth.errors import Conflict, InvalidInput, NotFound
from troth.kernel import events, gate, telling
from troth.kernel.desk import SYSTEM, Desk, put_pointer
from troth.kernel.facts import House
from troth.ports import View
from troth.terms import (
    SECOND,
    Actor,
    Channel,
    Instant,
    Outcome,
    PersonId,
    Prepared,
    Published,
    PurposeKind,
    Refusal,
    Sealed,
    address_field,
)

LETTERS = "/letters"
"""Names the letters among the jobs of campaigns; no campaign can be called so."""
CHANNELS = (Channel.EMAIL, Channel.SMS)
TEXT_MAX = 459
"""Most characters of a letter by SMS: three parts."""
_TRIES = 20
_NOTHING_SHARED = mail.Skeleton.of(b"", (), ())


@dataclass(frozen=True, slots=True)
class Letter:
    """What a letter says.

    Attributes:
        kind: One of `data/letters.toml`.
        paragraphs: Plain text, one line each.
        link: An address of the brand's own pages, "" none; `link_text` says where it leads.
        code: Shown large, "" none.
        language: Of the words; "" is the house's.
    """

    kind: str
    subject: str
    paragraphs: tuple[str, ...] = field(repr=False)
    link: str = field(default="", repr=False)
    link_text: str = ""
    code: str = field(default="", repr=False)
    language: str = ""


@dataclass(frozen=True, slots=True)
class Press:
    """What letters of one brand are written with; made by `app`, kept while the house stays.

    Attributes:
        frames: What stands around the words, by language; the first is the house's own.
        kinds: The allow-list.
        most: How many paragraphs a letter may have.
        real_seconds: The machine's own POSIX seconds, for DKIM.
    """

    sender: Sender
    frames: Mapping[str, mail.Frames]
    signers: Sequence[mail.Signer]
    kinds: frozenset[str]
    most: int
    real_seconds: Callable[[], int]


Row = tuple[str, bytes, bytes]
"""Table, key and value of a row that is written with a letter and goes with its person."""


def book_letter(  # noqa: PLR0913 - whose letter, by what way, and what goes with it
    desk: Desk,
    press: Press,
    person: PersonId,
    letter: Letter,
    actor: Actor = SYSTEM,
    channel: Channel = Channel.EMAIL,
    beside: Sequence[Row] = (),
) -> str | Refusal:
    """Decide, write, seal and book one letter; return its ref, or why none may be written.

    Args:
        desk: The desk.
        press: What it is written with.
        person: To whom; their address on the channel is used, and nothing else of them.
        letter: What it says.
        actor: Who sends.
        channel: `email`, or `sms` for its words alone.
        beside: Rows written in the same commit.

    Raises:
        InvalidInput: No such kind, too long, or a link that leads elsewhere.
        NotFound: Nothing is held under this id.
        Conflict: Others kept writing; nothing was booked.
        Shredded: The person was erased.
    """
    _check(press, letter, channel)
    for _ in range(_TRIES):
        with desk.store.look() as view:
            campaign = post(desk.house(view), press.sender, channel, letter.kind)
            judged = _judged(desk, view, campaign, person, actor)
            now, version = view.now, view.house_version
            if isinstance(judged.answer, Refusal):
                said = _refused(judged, judged.answer)
                written = None
            else:
                written = _written(desk, view, press, campaign, judged, letter)
                said = _booked(judged, judged.answer, campaign, written)
            prepared = desk.scribe.prepare(person, judged.gathered.head, [said], actor, now)
        try:
            if _kept(desk, version, prepared, campaign, written, beside):
                return written.ref if written else _no(judged)
        except Conflict:  # something was published meanwhile: decide again under it
            continue
    raise Conflict("others keep writing to this record", "repeat in a moment")


def post(house: House, sender: Sender, channel: Channel, kind: str = "") -> Campaign:
    """Name the letters of a channel as couriers and the gate know them."""
    named = (p.name for p in house.purposes.values() if p.kind is PurposeKind.SERVICE)
    purpose = min(named, default="service")
    template = Published(f"letter:{kind}" if kind else "letter", 1, Instant(0), "", b"")
    return Campaign(f"{LETTERS}/{channel}", purpose, "00" * 32, template, sender, channel)


@dataclass(frozen=True, slots=True)
class _Written:
    ref: str
    number: int
    data: bytes
    skeleton: mail.Skeleton
    sealed: Sealed
    message_id: str


def _check(press: Press, letter: Letter, channel: Channel) -> None:
    if letter.kind not in press.kinds:
        kinds = ", ".join(sorted(press.kinds))
        raise InvalidInput("the house writes no letter of this kind", f"use one of {kinds}")
    if channel not in CHANNELS:
        raise InvalidInput("a letter goes by mail or SMS", "choose one of them")
    if not 0 < len(letter.paragraphs) <= press.most:
        raise InvalidInput(f"a letter has 1 to {press.most} paragraphs", "shorten it")
    if letter.link and not letter.link.startswith(f"{press.sender.base_url}/"):
        raise InvalidInput("a letter links to the brand's own pages alone", "take the link out")


def _judged(desk: Desk, view: View, campaign: Campaign, person: PersonId, actor: Actor) -> Judged:
    found = judge(desk, view, campaign, [person], actor, {person: frozenset()})
    if not found:
        raise NotFound("nothing is held under this id")
    return found[0]


def _no(judged: Judged) -> Refusal:
    if isinstance(judged.answer, Refusal):
        return judged.answer
    raise InvalidInput("a permit is no refusal")


def _refused(judged: Judged, no: Refusal) -> events.Payload:
    inputs = gate.inputs_digest(judged.request, judged.facts)
    return telling.refused(judged.request, no, judged.facts.house, inputs)


def _written(  # noqa: PLR0913 - one letter
    desk: Desk, view: View, press: Press, campaign: Campaign, judged: Judged, letter: Letter
) -> _Written:
    """Write and seal a letter; only the address is opened."""
    person, channel = judged.gathered.person, campaign.channel
    desk.vault.keys.load([person], view.now)
    place = address_field(channel)
    rows = view.sealed([person], [place]).get(person, [])
    address = open_values(desk, view, judged, rows).get(place, "")
    raw = (view.now // SECOND & 0xFFFFFFFF).to_bytes(4, "big") + desk.randomness.take(12)
    ref = raw.hex()
    sent_by = f"<{ref}@{press.sender.domain}>"
    if channel is Channel.EMAIL:
        data, packed, skeleton = _mailed(press, letter, address, (ref, sent_by, view.now))
    else:
        data, skeleton = _spoken(press.sender, letter).encode(), _NOTHING_SHARED
        packed = mail.pack(data, b"", (), skeleton)
    number = int.from_bytes(raw[:7], "big")
    sealed = desk.vault.seal_outgoing(person, campaign.purpose, number, packed, view.now)
    return _Written(ref, number, data, skeleton, sealed, sent_by)


def letter_to(press: Press, letter: Letter, address: str, ref: str, now: Instant) -> bytes:
    """Write and sign a mail to an address that is nobody's yet; books nothing.

    Raises:
        InvalidInput: No such kind, too long, or a link that leads elsewhere.
    """
    _check(press, letter, Channel.EMAIL)
    return _mailed(press, letter, address, (ref, f"<{ref}@{press.sender.domain}>", now))[0]


def _mailed(
    press: Press, letter: Letter, address: str, named: tuple[str, str, Instant]
) -> tuple[bytes, bytes, mail.Skeleton]:
    ref, message_id, now = named
    values: dict[str, str | Sequence[Mapping[str, str]]] = {
        "subject": letter.subject,
        "first": letter.paragraphs[0],
        "paragraphs": [{"text": each} for each in letter.paragraphs],
        "code": letter.code,
        "link": letter.link,
        "link_text": letter.link_text if letter.link else "",
    }
    sender = press.sender
    envelope = mail.Envelope(
        sender.from_name, sender.from_address, address, message_id, now // SECOND, ref=ref
    )
    frames = press.frames.get(letter.language) or next(iter(press.frames.values()))
    frame = frames.of(frozenset(), {name: held for name, held in values.items() if held})
    draft = frame.fill(values, envelope)
    data = mail.sign(draft, press.signers, press.real_seconds())
    return data, mail.pack(data, draft.body, draft.filled, frame.skeleton), frame.skeleton


def _spoken(sender: Sender, letter: Letter) -> str:
    words = [*letter.paragraphs, letter.code, letter.link]
    text = f"{sender.from_name}: {' '.join(each for each in words if each)}"
    if len(text) > TEXT_MAX:
        raise InvalidInput(f"a letter by SMS has at most {TEXT_MAX} characters", "shorten it")
    return text


def _booked(
    judged: Judged, permit: gate.Permit, campaign: Campaign, written: _Written
) -> events.Payload:
    return events.MessageBooked(
        ref=written.ref,
        purpose=campaign.purpose,
        channel=campaign.channel,
        template=campaign.template.label,
        level=0,
        categories=(),
        basis=permit.basis,
        ruleset=permit.ruleset,
        inputs=gate.inputs_digest(judged.request, judged.facts),
        message_id=written.message_id,
        content=crypto.sha256(written.data).hex(),
    )


def _kept(  # noqa: PLR0913 - one commit
    desk: Desk,
    version: int,
    prepared: Sequence[Prepared],
    campaign: Campaign,
    written: _Written | None,
    beside: Sequence[Row],
) -> bool:
    """Book event, job and rows in one write; False where the chain moved: look again."""
    with desk.store.book(version) as tx:
        if tx.append(prepared):
            return False
        if written is None:
            return True
        person = prepared[0].person
        tx.claim_row(SKELETONS, written.skeleton.key, written.skeleton.data)
        nothing: list[str] = []
        job = (campaign.name, written.number, nothing, written.sealed.rec)
        tx.enqueue(job_kind(campaign.name), written.ref, msgspec.msgpack.encode(job), person)
        for table, key, value in beside:
            put_pointer(tx, person, table, key, value)
    return True


class LetterCourier(Courier):
    """Hands letters over: outside every campaign and cap, again where the outcome is unknown."""

    resends = 3
    """How often; taking a letter and letting go of it each raise its job's fence by one."""

    def _begun_before(self) -> dict[str, Outcome]:
        """Return what another worker ended; what it left unknown is begun anew."""
        told = super()._begun_before()
        return {ref: each for ref, each in told.items() if not self._again(each)}

    def _again(self, outcome: Outcome) -> bool:
        entry = self._leased.get(outcome.ref)
        leased = entry.job.fence if entry else 1
        return outcome.state == "unknown" and leased < 2 * self.resends

    def _settle(self, outcomes: Mapping[str, Outcome], totals: Handed) -> None:
        again = {ref for ref, each in outcomes.items() if self._again(each)}
        super()._settle({r: each for r, each in outcomes.items() if r not in again}, totals)
        begun = sorted(again & self._log.begun)  # what was not begun is let go of already
        if begun:
            with self._desk.store.book() as tx:  # a lease over at once is anybody's again
                tx.seize(job_kind(self._campaign.name), begun, tx.now)

    def _book_ends(self, ends: Ends) -> None:
        """Book ends, those of one person one after the other: a campaign writes to each once."""
        left = list(ends)
        while left:
            first: dict[PersonId, int] = {}
            for place, (entry, _, _) in enumerate(left):
                first.setdefault(entry.person, place)
            now = set(first.values())
            super()._book_ends([each for place, each in enumerate(left) if place in now])
            left = [each for place, each in enumerate(left) if place not in now]

    def _outcome(self, said: events.MessageOutcome) -> events.MessageOutcome:
        """Name no campaign, and no channel: it counts against no cap."""
        return replace(said, campaign=None, channel=None)
