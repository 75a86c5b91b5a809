"""The form that asks for consent on other pages: taken in, asked back, counted, or erased."""

import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib.resources import files
from typing import Any, Final

import msgspec

from troth import crypto
from troth.app.letters import has_sms, in_language, write_letter
from troth.app.site_place import rules
from troth.app.workspace import Workspace
from troth.capabilities import onsite, outreach, preferences, rights
from troth.capabilities.people import newcomers
from troth.capabilities.preferences import collecting
from troth.engines import contact as addresses
from troth.errors import Conflict, InvalidInput, NotFound, Unavailable
from troth.kernel import consent, events, gate, telling
from troth.kernel.desk import SYSTEM
from troth.kernel.vault import Shredded
from troth.terms import (
    DAY,
    GRANTING,
    Actor,
    Channel,
    ConsentStatus,
    Instant,
    PersonId,
    Published,
    Purpose,
    PurposeKind,
    ReasonCode,
    Refusal,
    Role,
)


@cache
def limits() -> Mapping[str, Any]:
    """Return the numbers and words of the form, as shipped."""
    return tomllib.loads((files("troth") / "data/collect.toml").read_text("utf-8"))


def asked_for(opened: Workspace, name: str) -> tuple[Purpose, tuple[Channel, ...]]:
    """Return the purpose a form may ask for, and by which channels an answer can be confirmed.

    Raises:
        NotFound: No such purpose, or none that messages are sent for.
    """
    with opened.store.look() as view:
        purpose = opened.desk.house(view).purposes.get(name)
    ways = [Channel.EMAIL, *([Channel.SMS] if has_sms(opened) else [])]
    if purpose is None or purpose.kind is not PurposeKind.MARKETING:
        raise NotFound("there is no such form", "name a purpose that messages are sent for")
    return purpose, tuple(way for way in ways if way in purpose.channels)


def right_to_send(opened: Workspace, right: onsite.Right) -> str:
    """Return a token for one form; records nothing."""
    with opened.store.look() as view:
        return onsite.grant(opened.desk, right, view.now)


def submit(
    opened: Workspace,
    told: Sequence[tuple[Channel, str]],
    right: onsite.Right,
    asked: tuple[str, str, str, str],
) -> str:
    """Take a form in; the same form again gets its first answer, another under its key none.

    Args:
        opened: The workspace.
        told: Each ticked channel with the address typed, in its one spelling; () is a no.
        right: What the form shows: origin, its own nonce, notice.
        asked: Purpose, language, token and key, as the form holds them.

    Returns:
        `sent` or `no`; the same for known and unknown addresses.

    Raises:
        InvalidInput: No right to send it, or the notice does not speak of the purpose.
        Conflict: The key or the token was used for another form.
    """
    purpose, language, token, key = asked
    desk, known = opened.desk, rules()
    bound = [purpose, language, right.origin, right.notice, [[str(c), a] for c, a in told]]
    secret = desk.vault.keys.secret("token")
    digest = crypto.mac(secret, msgspec.json.encode(bound))
    with desk.store.look() as view:
        before = onsite.first_answer(desk, view, key, digest)
        if before is not None:
            return str(before["state"])
        nonce = onsite.require(desk, right, token, known, view.now)
        onsite.require_notice(view, purpose, right.notice)
    onsite.claim(desk, key, nonce, digest, known)
    proof = f"form:{crypto.sha256(nonce.encode()).hex()[:32]}"
    wanted = [
        collecting.Wanted(str(way), address, purpose, right.notice, language, proof)
        for way, address in told
    ]
    collecting.submit(desk, wanted, limits()["per_address_day"])
    state = "sent" if told else "no"
    onsite.keep_answer(desk, key, digest, {"state": state}, known)
    return state


def collect_round(opened: Workspace) -> int:
    """Do the later step: look who holds each address, write the letters, erase the unanswered.

    Returns:
        How many letters were booked.
    """
    booked = 0
    for each in collecting.take(opened.desk, limits()["batch"]):
        with suppress(Conflict, Unavailable):  # its lease ends: a later round takes it again
            booked += _asked_back(opened, each.wanted)
            collecting.end(opened.desk, each.key)
    collecting.forget_counts(opened.desk, _SWEPT)
    with opened.store.look() as view:
        gone = collecting.unanswered(view, limits()["batch"])
    for person in gone:
        if _known_otherwise(opened, person):
            with opened.store.book() as tx:
                collecting.stay(tx, person)
        else:
            _erase(opened, person, SYSTEM)
    return booked


_SWEPT = 500


def _known_otherwise(opened: Workspace, person: PersonId) -> bool:
    """Tell whether somebody who came by a form bought, agreed or was merged meanwhile."""
    with opened.store.look() as view:
        found = view.gather([person], None)
        merged = opened.desk.keeper(view, person) != person
    if not found:
        return False
    record = found[0].record
    agreed = any(s.grant is not None for s in record.standings.values())
    return merged or bool(record.relations) or agreed


def _asked_back(opened: Workspace, wanted: collecting.Wanted) -> bool:
    """Record that it was asked for and not confirmed, and write to the address."""
    desk, way = opened.desk, Channel(wanted.channel)
    point = desk.contact(way, wanted.address, addresses.NORMALISER)
    with desk.store.look() as view:
        found = list(dict.fromkeys(desk.keeper(view, p) for p in view.find(way, point.bi)))
        until = Instant(view.now + limits()["confirm_days"] * DAY)
    if len(found) != 1:  # an address several people share is nobody's: somebody of its own
        person = newcomers.create(
            desk, way, wanted.address, wanted.language, "form",
            lambda made: collecting.due_row(made, until),
        )  # fmt: skip
    else:
        person = found[0]
    if _says_no(opened, person, wanted):
        _unasked(opened, person)
        return False
    token = collecting.new_token(desk)
    pending = collecting.Pending(
        person, until, wanted.channel, wanted.purpose, wanted.notice, wanted.language, wanted.proof
    )  # fmt: skip
    beside = [collecting.pending_row(desk, token, pending)]
    try:
        served = events.NoticeServed(wanted.notice, "form", wanted.language)
        asked = _choice(pending, ConsentStatus.REQUESTED)
        preferences.record_choices(desk, person, [asked], SYSTEM, [served])
        letter = _letter(opened, wanted, token, _spoken(opened, person, wanted))
        done = write_letter(opened, person, letter, channel=way, beside=beside)
    except (NotFound, Shredded, InvalidInput):  # nobody to ask, or nothing to ask for any more
        return False
    if isinstance(done, Refusal):
        _unasked(opened, person)
        return False
    return True


def _unasked(opened: Workspace, person: PersonId) -> None:
    """Erase somebody who is here for the form alone and cannot be asked."""
    with opened.store.look() as view:
        fresh = collecting.is_due(view, person)
    if fresh:
        _erase(opened, person, SYSTEM)


def _erase(opened: Workspace, person: PersonId, actor: Actor) -> None:
    """Erase somebody who is here by a form alone.

    The stores are not searched, and the certificate says so: a form anybody can fill in must not
    make the house read all its files.
    """
    rights.erase(opened.desk, person, "unconfirmed", actor, opened.settle, opened.unsearched())


STANDING_NO: Final = frozenset(
    {
        ReasonCode.OBJECTED,
        ReasonCode.SUPPRESSED_COMPLAINT,
        ReasonCode.SUPPRESSED_UNSUBSCRIBE,
        ReasonCode.SUPPRESSED_BOUNCE,
        ReasonCode.REGISTRY_BLOCK,
        ReasonCode.RESTRICTED,
        ReasonCode.ERASURE_PENDING,
        ReasonCode.LEVEL_ZERO,
    }
)
"""What nobody is asked past by a form that anybody can fill in; not that they never said yes."""


def _says_no(opened: Workspace, person: PersonId, wanted: collecting.Wanted) -> bool:
    """Tell whether a no stands to what a form asks for; it is written down as the gate's."""
    desk, way = opened.desk, Channel(wanted.channel)
    draft = Published("form", 1, Instant(0), "", b"")
    asked = outreach.Campaign("form", wanted.purpose, "00" * 32, draft, opened.sender(), way)
    with desk.store.look() as view:
        judged = outreach.judge(desk, view, asked, [person], SYSTEM)
    if not judged or not isinstance(judged[0].answer, Refusal):
        return False
    one, no = judged[0], judged[0].answer
    if STANDING_NO.isdisjoint(reason.code for reason in no.reasons):
        return False
    inputs = gate.inputs_digest(one.request, one.facts)
    with suppress(Shredded):  # erased meanwhile: nobody is left to ask either
        desk.record(person, [telling.refused(one.request, no, one.facts.house, inputs)], SYSTEM)
    return True


def _choice(
    pending: collecting.Pending, status: ConsentStatus, confirmed: Instant | None = None
) -> preferences.Choice:
    return preferences.Choice(
        status,
        pending.purpose,
        (pending.channel,),
        notice=pending.notice,
        method="collection_form",
        proof=pending.proof,
        language=pending.language,
        confirmed_at=confirmed,
    )


def _spoken(opened: Workspace, person: PersonId, wanted: collecting.Wanted) -> str:
    """Return the language of the letter: the person's own, else the form's."""
    with opened.store.look() as view:
        found = view.gather([person], None)
    tried = (found[0].record.language if found else "", wanted.language)
    return next((each for each in tried if each in limits()["words"]), "en")


def _letter(
    opened: Workspace, wanted: collecting.Wanted, token: str, spoken: str
) -> outreach.Letter:
    purpose, _ = asked_for(opened, wanted.purpose)
    told = {
        "brand": opened.settings.title,
        "title": in_language(opened, spoken, purpose.title),
        "days": limits()["confirm_days"],
    }
    say = {key: text.format(**told) for key, text in limits()["words"][spoken].items()}
    link = f"{opened.settings.base_url}/my/confirm/{token}"
    if wanted.channel == Channel.SMS:
        text = (say["sms"],)
        return outreach.Letter("address_confirm", say["subject"], text, link, language=spoken)
    text2 = (say["opening"], say["not_you"])
    return outreach.Letter(
        "address_confirm", say["subject"], text2, link, say["button"], language=spoken
    )


def read(opened: Workspace, token: str) -> collecting.Pending:
    """Return what a letter's link asks; changes nothing.

    Raises:
        NotFound: Unknown, answered, or over.
    """
    with opened.store.look() as view:
        return collecting.read_pending(opened.desk, view, token)


def _stands(opened: Workspace, person: PersonId, pending: collecting.Pending) -> bool:
    with opened.store.look() as view:
        house, found = opened.desk.house(view), view.gather([person], None)
        purpose = house.purposes.get(pending.purpose)
        if purpose is None or not found:
            return False
        held = consent.resolve(found[0].record, purpose, pending.channel, view.now, house.purposes)
    return held.status in GRANTING


def answer(opened: Workspace, token: str, *, yes: bool) -> PersonId | None:
    """Record the answer of whoever reads the address; a no of somebody new leaves nothing here.

    Returns:
        Whose answer was recorded; None where nothing is kept of them any more.

    Raises:
        NotFound: Unknown, answered, or over.
        Conflict: It was answered in the same moment.
    """
    desk = opened.desk
    with opened.store.look() as view:
        pending, now = collecting.read_pending(desk, view, token), view.now
        person = desk.keeper(view, PersonId(pending.person))
        fresh = collecting.is_due(view, person)
    reader = Actor(Role.PERSON, person.hex())
    if not yes and fresh:  # the link goes with them: cut off, it is there to be clicked again
        _erase(opened, person, reader)
        return None
    if yes or not _stands(opened, person, pending):  # a yes given elsewhere stays
        status = ConsentStatus.GIVEN if yes else ConsentStatus.REFUSED
        choice = _choice(pending, status, now if yes else None)
        preferences.record_choice(desk, person, choice, reader)
    if not collecting.settle(desk, token, pending):
        raise Conflict("this was answered meanwhile", "look at the page again")
    return person
