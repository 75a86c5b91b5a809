"""What comes back, wired: mails from files or by SMTP, and what follows each event.

Followers: a lasting failure closes the address, a complaint closes it for all marketing, an answer
that means stop does what the one-click link does. Each may run again: it finds that it was done.
"""

import threading
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from troth.capabilities import outreach, preferences
from troth.capabilities.preferences.model import FROM_CAMPAIGN
from troth.engines import mail
from troth.errors import Fault, InvalidInput, NotFound, Unavailable
from troth.kernel import events, following
from troth.kernel.desk import SYSTEM, Desk
from troth.kernel.scribe import Recorded
from troth.kernel.vault import Shredded
from troth.ports import LocalInbox, MailListener
from troth.terms import DAY, Actor, Block, Channel, Instant, PersonId

if TYPE_CHECKING:
    from troth.app.workspace import Workspace

FILES_MOST = 100_000
MOST_BYTES = 10 * 2**20
_MOVES = (events.ContactAdded, events.ContactEnded)
FOLDERS = ("new", "cur")
"""Where a Maildir holds its mails."""


@cache
def _data(name: str) -> dict[str, Any]:
    return tomllib.loads((files("troth") / f"data/{name}.toml").read_text("utf-8"))


@cache
def words() -> mail.ReplyWords:
    """Return what answers mean, as the data file says."""
    return mail.read_words(_data("replies"))


def limits() -> dict[str, Any]:
    """Return the dated limits that what comes back is measured against."""
    return _data("outcome")


def take_mail(opened: "Workspace", raw: bytes, actor: Actor = SYSTEM) -> outreach.Taken:
    """Take in one mail and do what follows from it.

    Raises:
        InvalidInput: It is larger than a mail may be.
        Unavailable: The record takes no writes now; nothing was taken.
    """
    taken = outreach.take_return(opened.desk, raw, words(), actor)
    if taken.became == "recorded":
        opened.follow()
    return taken


def take_files(
    opened: "Workspace",
    path: Path,
    actor: Actor = SYSTEM,
    progress: Callable[[int], None] = lambda _done: None,
) -> Counter[str]:
    """Take in a mail, a folder of `*.eml`, or a Maildir; the files stay as they are.

    Returns:
        Counts by what became of each: `bounced hard`, `replied stop`, `again`, `unknown` …

    Raises:
        NotFound: There is no such file or folder.
        InvalidInput: A file cannot be read.
    """
    found: Counter[str] = Counter()
    for done, each in enumerate(_mails(path), 1):
        try:
            taken = outreach.take_return(opened.desk, _read(each), words(), actor)
        except InvalidInput:
            found["too large"] += 1
            continue
        found[said(taken)] += 1
        progress(done)
    opened.follow()
    return found


def said(taken: outreach.Taken) -> str:
    """Name what became of a mail in two words at most.

    >>> said(outreach.Taken("recorded", "bounced", "hard")), said(outreach.Taken("unknown"))
    ('bounced hard', 'unknown')
    """
    if taken.became != "recorded":
        return taken.became
    return f"{taken.state} {taken.kind}".strip()


def _mails(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    if not path.is_dir():
        raise NotFound("there is no such file or folder", "name a mail, a folder or a Maildir")
    held = sorted(path.glob("*.eml"))
    for folder in FOLDERS:
        held += sorted(p for p in (path / folder).glob("*") if p.is_file())
    yield from held[:FILES_MOST]


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except OSError:
        raise InvalidInput("a mail cannot be read", "check owner and mode") from None


# By SMTP


@dataclass(slots=True)
class Reception:
    """Answers one delivery after another: 250 once it is booked, 451 where it could not be."""

    opened: "Workspace"
    counts: Counter[str]
    lock: threading.Lock

    def take(self, raw: bytes) -> str:
        """Take one mail and return the reply to its sender; a mail is never answered by mail."""
        with self.lock:
            try:
                done = said(take_mail(self.opened, raw))
            except InvalidInput:
                return "552 5.3.4 too large"
            except Unavailable:
                return "451 4.3.0 not now"
            except Fault:
                return "451 4.3.5 not now"
            self.counts[done] += 1
        return "250 2.0.0 taken"


def listener(opened: "Workspace", counts: Counter[str] | None = None) -> MailListener:
    """Return a receiver of returned mail on this machine; start it to get its port."""
    from troth.adapters.inbox import Listener, Receiving

    held = Reception(opened, Counter() if counts is None else counts, threading.Lock())
    return Listener(Receiving(held.take))


def demo_inbox(opened: "Workspace", folder: Path, takes: float = 0.0) -> LocalInbox:
    """Return a demo's mailbox, where what is written to the brand itself is taken in at once.

    Each mail takes so many seconds, so that a campaign can be watched, paused and resumed.
    """
    from troth.adapters.inbox import Inbox

    held = Reception(opened, Counter(), threading.Lock())
    return Inbox(folder, {opened.settings.from_address: held.take}, takes)


# What follows


def bounces(opened: "Workspace", due: Sequence[following.Due]) -> None:
    """Close an address that will never work, rest one that failed too often."""
    for each in due:
        found = _chain(opened.desk, each)
        told = _told(found, each)
        if told is None or _moved_since(found, told):
            continue
        until = 0 if told.kind == "hard" else _rested(found, each)
        if told.kind == "hard" or until:
            at = _happened(found, each.n)
            block = Block("hard_bounce", since=at, until=until)
            _suppress(opened.desk, each.person, block, told)


def complaints(opened: "Workspace", due: Sequence[following.Due]) -> None:
    """Close the address of whoever complained, and of whom that person is by now, to marketing."""
    for each in due:
        found = _chain(opened.desk, each)
        told = _told(found, each)
        if told is None:
            continue
        at = _happened(found, each.n)
        with opened.store.look() as view:
            people = {each.person, opened.desk.keeper(view, each.person)}
        for person in sorted(people):
            _suppress(opened.desk, person, Block("complaint", since=at), told)


def answers(opened: "Workspace", due: Sequence[following.Due]) -> None:
    """Stop what an answer asks to stop, as the one-click link of that message would."""
    for each in due:
        found = _chain(opened.desk, each)
        told = _told(found, each)
        booked = _booked(found, told.ref) if told else None
        if told is None or booked is None or told.kind != "stop":
            continue
        at = _happened(found, each.n)
        stop = preferences.Stop(
            each.person, booked.purpose, booked.channel, told.campaign or "", told.ref
        )
        preferences.carry_out(opened.desk, stop, "reply", at)


def _chain(desk: Desk, due: following.Due) -> list[Recorded]:
    with desk.store.look() as view:
        try:
            return desk.scribe.chain(view, due.person)
        except (Shredded, NotFound):
            return []  # erased since: nothing of theirs is left to close


def _told(chain: Sequence[Recorded], due: following.Due) -> events.MessageOutcome | None:
    found = next((r.event.payload for r in chain if r.event.n == due.n), None)
    return found if isinstance(found, events.MessageOutcome) else None


def _happened(chain: Sequence[Recorded], n: int) -> Instant:
    return next(r.event.at for r in chain if r.event.n == n)


def _booked(chain: Sequence[Recorded], ref: str) -> events.MessageBooked | None:
    for recorded in chain:
        said = recorded.event.payload
        if isinstance(said, events.MessageBooked) and said.ref == ref:
            return said
    return None


def _moved_since(chain: Sequence[Recorded], told: events.MessageOutcome) -> bool:
    """Tell whether the person has another address by now than the one a message went to."""
    after = False
    for recorded in chain:
        said = recorded.event.payload
        if isinstance(said, events.MessageBooked) and said.ref == told.ref:
            after = True
        elif after and isinstance(said, _MOVES) and said.channel == told.channel:
            return True
    return not after


def _rested(chain: Sequence[Recorded], due: following.Due) -> int:
    """Return until when an address is rested after this passing failure; 0 where it is not."""
    soft = limits()["soft"]
    at = _happened(chain, due.n)
    recent = [
        r
        for r in chain
        if isinstance(r.event.payload, events.MessageOutcome)
        and (r.event.payload.state, r.event.payload.kind) == ("bounced", "soft")
        and r.event.n <= due.n
        and r.event.at > at - soft["within_days"] * DAY
    ]
    return at + soft["rest_days"] * DAY if len(recent) >= soft["most"] else 0


def _suppress(desk: Desk, person: PersonId, block: Block, told: events.MessageOutcome) -> None:
    channel = Channel(told.channel or Channel.EMAIL)
    with desk.store.look() as view:
        found = view.gather([person], channel)
    if not found or found[0].contact is None or found[0].record.erasing:
        return
    source = f"{FROM_CAMPAIGN}{told.campaign}" if told.campaign else told.state
    contact = found[0].contact
    preferences.suppress_point(desk, channel, contact.bi, contact.sup, block, source, SYSTEM)
