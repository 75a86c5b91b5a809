"""What comes back to a message: failures, complaints, answers; each an event of its own person.

A mail is believed about one thing only: which of our messages it is about, by that message's own
random reference or stop token, which nobody knows who did not get it. Addresses, names and senders
in it are not read. Nothing of the mail is kept, nothing is ever answered, and a mail that names no
message of ours leaves no trace.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import msgspec

from troth import crypto
from troth.capabilities.outreach.model import JOB, TOKENS
from troth.engines import mail
from troth.kernel import events
from troth.kernel.desk import Desk, put_pointer
from troth.kernel.vault import Shredded
from troth.ports import Transaction, View
from troth.terms import Actor, Channel, PersonId

RETURNS = "outreach.return"
NAMES_READ = 20
"""References looked up in one mail: those that a reader's program puts first."""
_REF = re.compile(r"[0-9a-f]{32}")
Became = Literal["recorded", "again", "unknown", "ignored"]


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one mail that came back.

    Attributes:
        became: recorded; again, where this was known already; unknown, where it names no message
            of ours; ignored, where it says nothing to keep, such as that somebody is away.
        state: bounced, complained or replied, "" where nothing was recorded.
        kind: hard or soft of a bounce; stop or question of a reply.
    """

    became: Became
    state: str = ""
    kind: str = ""
    campaign: str = ""


@dataclass(frozen=True, slots=True)
class _Sent:
    """A message of ours, and whose it was."""

    person: PersonId
    ref: str
    campaign: str


def take_return(desk: Desk, raw: bytes, words: mail.ReplyWords, actor: Actor) -> Taken:
    """Record what a mail that came back says about the message it names; repeating it is harmless.

    Effects (an address closed, messages stopped) are followers of the event. A mail says one thing
    about one message: the first of those it names that is ours.

    Args:
        desk: The desk.
        raw: The mail as it arrived.
        words: What answers mean.
        actor: Who takes it in.

    Raises:
        InvalidInput: It is larger than a mail may be; nothing was recorded.
    """
    told = mail.read_return(raw, words)
    state, kind = _meaning(told)
    if not state:
        return Taken("ignored")
    with desk.store.look() as view:
        sent = next(_named(desk, view, told), None)
    if sent is None:
        return Taken("unknown")
    said = events.MessageOutcome(
        state=state,
        ref=sent.ref,
        channel=Channel.EMAIL,
        kind=kind or None,
        detail=told.status or None,
        campaign=sent.campaign or None,
    )
    return _record(desk, sent, said, crypto.sha256(raw), actor)


def _meaning(told: mail.Returned) -> tuple[str, str]:
    """Return state and kind of the event a mail makes; "" where it makes none."""
    if told.kind == "bounce":
        return "bounced", "hard" if told.hard else "soft"
    if told.kind == "complaint":
        return "complained", ""
    if told.kind == "reply":
        return "replied", "stop" if told.stop else "question"
    return "", ""


def _named(desk: Desk, view: View, told: mail.Returned) -> Iterator[_Sent]:
    """Yield the messages of ours that a mail names."""
    for told_id in told.message_ids[:NAMES_READ]:
        ref = told_id.partition("@")[0]
        job = view.job_of(f"{JOB}/", ref) if _REF.fullmatch(ref) else None
        if job is not None and job[1] is not None:
            yield _Sent(job[1], ref, job[0].removeprefix(f"{JOB}/"))
    for token in told.tokens[:NAMES_READ]:
        row = view.row(TOKENS, desk.token_key(token))
        psid, _, _, _, *more = msgspec.json.decode(row) if row else ("", "", "", 0)
        if len(more) >= 2:  # noqa: PLR2004 - a row of before names neither campaign nor message
            yield _Sent(PersonId(bytes.fromhex(psid)), more[1], more[0])


def _record(
    desk: Desk, sent: _Sent, said: events.MessageOutcome, digest: bytes, actor: Actor
) -> Taken:
    mark = f"{sent.ref}/{said.state}/{said.kind or ''}".encode()
    if said.kind == "question":  # a person may ask more than once; the same mail is one
        mark += b"/" + digest
    while True:
        with desk.store.look() as view:
            found = view.gather([sent.person], None)
            if not found or found[0].record.erasing:
                return Taken("unknown")
            try:
                prepared = desk.scribe.prepare(sent.person, found[0].head, [said], actor, view.now)
            except Shredded:
                return Taken("unknown")
        with desk.store.book() as tx:
            if _known(tx, mark, digest):
                return Taken("again", said.state, said.kind or "", sent.campaign)
            if tx.append(prepared):
                continue
            beside = ((RETURNS, digest, b"1"),)
            put_pointer(tx, sent.person, RETURNS, mark, b"1", beside)
        return Taken("recorded", said.state, said.kind or "", sent.campaign)


def _known(tx: Transaction, mark: bytes, digest: bytes) -> bool:
    return tx.row(RETURNS, mark) is not None or tx.row(RETURNS, digest) is not None
