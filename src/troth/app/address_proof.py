"""Prove a new e-mail address: a code goes to it, decided and recorded first like any message.

The address is in nobody's record yet, so the letter cannot wait in the queue of letters, which
opens the held one: it is handed over at once, or not at all.
"""

from typing import Final

from troth import crypto
from troth.app.letters import press
from troth.app.owndata import Eyes
from troth.app.workspace import Workspace
from troth.capabilities import outreach
from troth.errors import Unavailable
from troth.kernel import events, gate, telling
from troth.kernel.desk import SYSTEM
from troth.terms import DAY, SECOND, Channel, Outgoing, Refusal

KIND: Final = "address_confirm"
WAIT_S: Final = 5.0
A_DAY: Final = 5
"""How many codes a person may have sent a day."""
_TRIES: Final = 8


class _NoLog:
    """Keeps nothing: what is not known to have left is asked for again."""

    def start(self, ref: str) -> None:
        """Note nothing."""

    def reply(self, ref: str, code: int) -> None:
        """Note nothing."""


def send_code(
    opened: Workspace,
    eyes: Eyes,
    address: str,
    letter: outreach.Letter,
    relay: tuple[str, int] | None = None,
) -> None:
    """Send a letter with a code to an address that is to be proven.

    Raises:
        Unavailable: Too many went out today, the gate permits no message of service now, or the
            relay did not take it.
    """
    from troth.adapters.smtp import SmtpTransport

    _refuse_flood(opened, eyes)
    ref, data = _booked(opened, eyes, address, letter)
    s = opened.settings
    host, port = relay or (s.relay_host, s.relay_port)
    transport = SmtpTransport(host, port, s.relay_security, timeout_s=WAIT_S)
    message = Outgoing(ref, s.from_address, address, data)
    state = "failed"
    try:
        for outcome in transport.hand_over([message], lambda _ref: True, _NoLog()):
            state = outcome.state
    finally:
        said = events.MessageOutcome(state if state in ("handed", "unknown") else "failed", ref)
        opened.desk.record(eyes.person, [said], SYSTEM)
    if state != "handed":
        raise Unavailable("the mail system did not take the code", "ask again later", 60)


def _refuse_flood(opened: Workspace, eyes: Eyes) -> None:
    """Let nobody's page be used to fill strangers' mailboxes."""
    with opened.store.look() as view:
        sent = [
            each.event.at
            for each in opened.desk.scribe.chain(view, eyes.person)
            if isinstance(each.event.payload, events.MessageBooked)
            and each.event.payload.template.startswith(f"letter:{KIND}@")
        ]
        today = sum(at > view.now - DAY for at in sent)
    if today >= A_DAY:
        raise Unavailable("too many codes were sent today", "ask again tomorrow", 3600)


def _booked(
    opened: Workspace, eyes: Eyes, address: str, letter: outreach.Letter
) -> tuple[str, bytes]:
    """Decide, write and book one letter; what leaves is known to the record before it does."""
    desk, written_with = opened.desk, press(opened)
    for _ in range(_TRIES):
        with desk.store.look() as view:
            house = desk.house(view)
            campaign = outreach.post(house, written_with.sender, Channel.EMAIL, KIND)
            nothing = {eyes.person: frozenset[str]()}
            judged = outreach.judge(desk, view, campaign, [eyes.person], SYSTEM, nothing)[0]
            inputs = gate.inputs_digest(judged.request, judged.facts)
            raw = (view.now // SECOND & 0xFFFFFFFF).to_bytes(4, "big") + desk.randomness.take(12)
            ref, answer = raw.hex(), judged.answer
            said: events.Payload
            data = b""
            if isinstance(answer, Refusal):
                said = telling.refused(judged.request, answer, house, inputs)
            else:
                data = outreach.letter_to(written_with, letter, address, ref, view.now)
                said = events.MessageBooked(
                    ref=ref, purpose=campaign.purpose, channel=campaign.channel,
                    template=campaign.template.label, level=0, categories=(),
                    basis=answer.basis, ruleset=answer.ruleset, inputs=inputs,
                    message_id=f"<{ref}@{written_with.sender.domain}>",
                    content=crypto.sha256(data).hex(),
                )  # fmt: skip
            head = judged.gathered.head
            prepared = desk.scribe.prepare(eyes.person, head, [said], SYSTEM, view.now)
        with desk.store.book(house.version) as tx:
            if tx.append(prepared):
                continue
        if not data:
            raise Unavailable("no code may be sent now", "ask for the correction", 60)
        return ref, data
    raise Unavailable("others keep writing to this record", "repeat in a moment", 1)
