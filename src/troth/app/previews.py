"""Looking at a message with real people's data, and sending one to oneself.

A preview of real people is a use of their data: decided by the gate for each of them, written into
their own chain before anything is shown, few, and without name or address. A test message goes to
the member of staff who asks for it, filled with invented words, and to nobody else.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from troth import crypto
from troth.app.messages import Face, drafted, faces, sample_envelope, samples
from troth.app.sending import local_inbox, real_seconds, signers
from troth.app.workspace import Workspace
from troth.capabilities import outreach
from troth.capabilities.access.reading import Reading, book
from troth.capabilities.outreach import footer
from troth.capabilities.outreach.views import members_root
from troth.engines import mail
from troth.errors import InvalidInput, Unavailable
from troth.kernel import canaries, cases, events, gate
from troth.kernel.desk import Desk
from troth.kernel.reasons import told_reasons
from troth.ports import View
from troth.terms import (
    DAY,
    Action,
    Actor,
    Channel,
    Claim,
    Outgoing,
    PersonId,
    Published,
    Reason,
    ReasonCode,
    Refusal,
    UseRequest,
)

LOOKS = "messages.looks"
NAME = "identity.name"
"""Never asked for, whatever the mask: its fallback is shown."""
_FIELDS = ("name.given", "interests", "purchases/")
_NOT_YOURS = Reason(ReasonCode.QUOTA, "staff.preview_quota", "ask_officer_for_quota")


@dataclass(frozen=True, slots=True)
class Masked:
    """What a look at real people gave.

    Attributes:
        faces: Their messages, without name and address, in no order that tells who is who.
        reasons: Why there is none, or why some are not shown.
        left: How many looks this member of staff has left today.
    """

    faces: tuple[Face, ...]
    reasons: tuple[Reason, ...]
    left: int


@dataclass(frozen=True, slots=True)
class Look:
    """One look: a template's text, what it is called, and who looks."""

    source: str
    name: str
    actor: Actor


def masked(ws: Workspace, look: Look, shelf: outreach.Shelf) -> Masked:
    """Render a message for a few real people whom its purpose may reach, masked.

    Written first: one house event for the people looked through, then, for each one shown or
    refused, an event in their own chain.

    Raises:
        InvalidInput: The template does not read, or names no published purpose.
    """
    template = mail.parse_template(look.source)
    claim = _may_look(ws.desk, template.purpose, look.actor)
    if isinstance(claim, Refusal):
        return Masked((), claim.reasons, looks_left(ws, look.actor))
    left = _take_a_look(ws, look.actor)
    if left < 0:
        _refuse(ws.desk, template.purpose, (_NOT_YOURS,), look.actor)
        return Masked((), (_NOT_YOURS,), 0)
    shown: list[Face] = []
    reasons: list[Reason] = []
    drawn = _chosen(ws, template, look.actor)
    wanted = template.categories - {NAME}
    for person in drawn:
        answer = book(ws.desk, _reading(ws, look, template, person, drawn), (), wanted)
        if isinstance(answer, Refusal):
            reasons += answer.reasons
        else:
            shown.append(_face(ws.desk, answer, template, shelf))
    return Masked(tuple(shown), tuple(dict.fromkeys(reasons)), left)


def _may_look(desk: Desk, purpose: str, actor: Actor) -> Claim | Refusal:
    """Judge the claim alone; whoever may not ask learns only that, and it is recorded."""
    with desk.store.look() as view:
        asked = replace(_request(actor, purpose, view), action=Action.READ)
        claim = desk.claim(asked, desk.house(view))
    if isinstance(claim, Refusal):
        _refuse(desk, purpose, claim.reasons, actor)
    return claim


def _reading(
    ws: Workspace, look: Look, template: mail.Template, person: PersonId, drawn: list[PersonId]
) -> Reading:
    """Return a look at one of the people just drawn, under the name they were drawn for."""
    ref = f"campaign:{look.name}"
    with ws.store.look() as view:
        known = cases.standing(view, ref) == "open"
    return Reading(
        person,
        look.actor,
        (),
        ref if known else cases.EVERYBODY,
        purpose=template.purpose,
        drawn=frozenset(drawn),
    )


def _refuse(desk: Desk, purpose: str, reasons: Sequence[Reason], actor: Actor) -> None:
    told = told_reasons(reasons)
    desk.record_house(events.HouseRefused(purpose, Action.READ, told), actor)


def _request(actor: Actor, purpose: str, view: View) -> UseRequest:
    return UseRequest(
        actor=actor,
        person=None,
        purpose=purpose,
        action=Action.SEND,
        channel=Channel.EMAIL,
        categories=frozenset(),
        at=view.now,
    )


def _looks_key(ws: Workspace, actor: Actor, view: View) -> bytes:
    who = ws.desk.scribe.actor(actor, ws.desk.scribe.house).partition("/")[2]  # in any role
    return f"{who}/{view.now // DAY}".encode()


def looks_left(ws: Workspace, actor: Actor) -> int:
    """Return how many looks at real people an actor has left today."""
    with ws.store.look() as view:
        raw = view.row(LOOKS, _looks_key(ws, actor, view))
    return max(int(samples()["limits"]["looks_a_day"]) - int(raw or 0), 0)


def _take_a_look(ws: Workspace, actor: Actor) -> int:
    """Count one look; return how many are left after it, -1 where none was left."""
    most = int(samples()["limits"]["looks_a_day"])
    with ws.store.book() as tx:
        key = _looks_key(ws, actor, tx)
        taken = int(tx.row(LOOKS, key) or 0)
        if taken >= most:
            return -1
        tx.put_row(LOOKS, key, str(taken + 1).encode())
    return most - taken - 1


def _chosen(ws: Workspace, template: mail.Template, actor: Actor) -> list[PersonId]:
    """Choose people at random among those the purpose may reach; a house event says so first."""
    desk, limits = ws.desk, samples()["limits"]
    campaign = _campaign(ws, template)
    with ws.store.look() as view:
        start = PersonId(desk.randomness.take(16))
        near = view.people(start, limits["candidates"])
        near = near or view.people(None, limits["candidates"])
        people = [p for p in canaries.without(view, near) if p != desk.scribe.house]
        size = view.log.size
    told = events.SetProcessed(
        work="preview",
        expression=campaign.expression,
        generation=size,
        counts={"candidates": len(people)},
        members=members_root(desk, people),
        purpose=template.purpose,
        campaign=f"template:{template.name}",
    )
    desk.record_house(told, actor)
    with ws.store.look() as view:
        judged = outreach.judge(desk, view, campaign, people, actor)
    reached = [j.gathered.person for j in judged if not isinstance(j.answer, Refusal)]
    order = sorted(reached, key=lambda person: crypto.sha256(start + person))
    return order[: limits["people"]]


def _campaign(ws: Workspace, template: mail.Template) -> outreach.Campaign:
    with ws.store.look() as view:
        at = view.now
    draft = Published(f"template:{template.name}", 0, at, "", b"")
    return outreach.Campaign("preview", template.purpose, "00" * 32, draft, ws.sender())


def _face(desk: Desk, permit: gate.Permit, template: mail.Template, shelf: outreach.Shelf) -> Face:
    person = permit.person
    with desk.store.look() as view:
        desk.vault.keys.load([person], view.now)
        rows = view.sealed([person], _FIELDS).get(person, [])
        plain = [
            r
            for r in rows
            if "/" not in r.field and desk.vault.category(r.field) in permit.categories
        ]
        opened = desk.vault.open(permit, plain, view.now)
        values: dict[str, Any] = outreach.compose(desk, view, permit, opened, rows, shelf)
        house = desk.house(view)
        purpose = house.purposes[template.purpose]
    values |= {
        "why": footer.because(permit.basis, purpose.title),
        "used": footer.used(sorted(permit.categories), values),
    }
    frame = mail.Frames(template).of(frozenset(permit.categories), values)
    draft = frame.fill(values, sample_envelope())
    rich, text = mail.parts_of(draft)
    used = tuple(c for c in footer.USED if values.get(footer.SHOWN_BY[c]))
    return Face(_level(used, house.levels), draft.subject, rich, text, used)


def _level(used: Sequence[str], levels: Sequence[frozenset[str]]) -> int:
    reached = [k for k, opens in enumerate(levels) if k > 1 and opens & set(used)]
    return max(reached, default=1)


# A test message to oneself


def send_test(ws: Workspace, look: Look, level: int, inbox: Path | None = None) -> Refusal | None:
    """Send a message, filled with invented words, to the member of staff who asks for it.

    Args:
        ws: The workspace.
        look: The template's text, its name, and who asks; their id is where it goes.
        level: As which level shows it.
        inbox: A demo's own mailbox folder, used in place of the relay.

    Returns:
        The refusal where their role may not send for this purpose; None when it was handed over.

    Raises:
        InvalidInput: Their id is no address, or there is no message at this level.
        Unavailable: The relay did not take it; nothing else happened.
    """
    if "@" not in look.actor.id:
        raise InvalidInput("your sign-in is no mail address", "ask IT to make it one")
    template = mail.parse_template(look.source)
    desk = ws.desk
    with ws.store.look() as view:
        asked = _request(look.actor, template.purpose, view)
        house = desk.house(view)
        claim = desk.claim(asked, house)
    if isinstance(claim, Refusal):
        told = told_reasons(claim.reasons)
        no = events.HouseRefused(template.purpose, Action.SEND, told, f"template:{look.name}")
        desk.record_house(no, look.actor)
        return claim
    face = faces(house, look.source, [level])[0]
    if not face.html:
        raise InvalidInput("at level 0 there is no message", "choose a level from 1 to 5")
    data = _test_message(ws, look, level)
    plan = crypto.sha256(look.source.encode()).hex()
    said = events.CampaignActed(f"template:{look.name}", "tested", plan, note=f"level {level}")
    desk.record_house(said, look.actor)
    _hand_over(ws, look.actor.id, data, inbox)
    return None


def _test_message(ws: Workspace, look: Look, level: int) -> bytes:
    sender = ws.sender()
    ref = ws.desk.randomness.take(16).hex()
    envelope = mail.Envelope(
        from_name=sender.from_name,
        from_address=sender.from_address,
        to_address=look.actor.id,
        message_id=f"<{ref}@{sender.domain}>",
        date_s=real_seconds(),
        list_id=sender.list_id,
    )
    with ws.store.look() as view:
        house = ws.desk.house(view)
    draft = drafted(house, look.source, level, envelope, "[test] ")
    return mail.sign(draft, signers(ws), real_seconds())


def _hand_over(ws: Workspace, to: str, data: bytes, inbox: Path | None) -> None:
    from troth.adapters.smtp import HandoverJournal, SmtpTransport

    s = ws.settings
    message = Outgoing(ws.desk.randomness.take(16).hex(), s.from_address, to, data)
    with HandoverJournal(s.record.parent / "handover-tests.log") as log:
        if inbox is None:
            transport = SmtpTransport(s.relay_host, s.relay_port, s.relay_security)
            done = list(transport.hand_over([message], lambda _ref: True, log))
        else:
            own = local_inbox(inbox)
            port = own.start()
            try:
                transport = SmtpTransport("127.0.0.1", port, "none")
                done = list(transport.hand_over([message], lambda _ref: True, log))
            finally:
                own.stop()
    if [outcome.state for outcome in done] != ["handed"]:
        raise Unavailable("the relay did not take the test message", "ask IT about the relay")
