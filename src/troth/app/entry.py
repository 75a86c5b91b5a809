"""Coming in: what the customer's pages ask for, and the later step that writes the letter.

The later step runs in the worker's rounds and, right after an answer, in a thread of the process
that answered: never before the answer, whose work is the same for known and unknown addresses.
"""

import threading
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from troth.adapters.passkeys import WebAuthn
from troth.app.collecting import collect_round
from troth.app.letters import deliver_letters, has_sms, write_letter
from troth.app.workspace import Workspace
from troth.capabilities import outreach, preferences
from troth.capabilities.people import entry, passkeys
from troth.errors import Conflict, NotFound, Unavailable
from troth.kernel.vault import Shredded
from troth.ports import Passkeys
from troth.terms import DAY, Actor, Block, Channel, Instant, PersonId, Refusal, Role, Site

_TRIES = 5


@cache
def _said() -> Mapping[str, Any]:
    return tomllib.loads((files("troth") / "data/entry.toml").read_text("utf-8"))


@cache
def limits() -> entry.EntryLimits:
    """Return the lengths and limits of coming in, as shipped."""
    said = _said()
    return entry.read_limits({k: v for k, v in said.items() if k != "words"})


def keys(opened: Workspace) -> Passkeys:
    """Return what checks passkeys of customers."""
    return WebAuthn(opened.settings.title)


def ask(opened: Workspace, text: str, network: str, browser: str) -> bool:
    """Ask for a way in to whatever somebody typed; see `entry.ask`.

    Raises:
        InvalidInput: It is neither an e-mail address nor a telephone number.
    """
    with opened.store.look() as view:
        region = opened.desk.house(view).seat
    address = entry.read_address(opened.desk, text, region)
    return entry.ask(opened.desk, limits(), address, network, browser)


def ask_for_mail(opened: Workspace, token: str, network: str, browser: str) -> bool:
    """Ask for a way in to the address a mail went to, by the token of that mail's own links.

    Raises:
        NotFound: The token is not known or has expired, or the address is not theirs any more.
    """
    stop = preferences.read_token(opened.desk, token)
    if not preferences.is_theirs(opened.desk, stop):
        raise NotFound("this link is not known or has expired", "ask for a fresh link")
    channel = Channel(stop.channel)
    with opened.store.look() as view:
        keeper = opened.desk.keeper(view, stop.person)
        found = view.gather([keeper], channel)
    contact = found[0].contact if found else None
    if contact is None:
        raise NotFound("this link is not known or has expired", "ask for a fresh link")
    shown = preferences.shown_address(opened.desk, token, stop)
    address = entry.Address(channel, contact, shown)
    return entry.ask(opened.desk, limits(), address, network, browser)


def write_entries(opened: Workspace) -> int:
    """Do the later step for every ask that waits: look who holds the address, book the letter.

    Returns:
        How many letters were booked.
    """
    desk, booked = opened.desk, 0
    for asked in entry.take(desk, limits()):
        with desk.store.look() as view:
            way = entry.way(desk, view, limits(), asked)
        sent = way if way is not None and _write(opened, asked, way) else None
        entry.end(desk, limits(), asked, sent)
        booked += sent is not None
    return booked


def _write(opened: Workspace, asked: entry.Ask, way: entry.Way) -> bool:
    """Book the letter; False where none may be written: the gate's no stands in their chain."""
    channel = Channel(asked.channel)
    if channel is Channel.SMS and not has_sms(opened):
        return False
    with opened.store.look() as view:
        record = view.gather([way.person], None)[0].record
    letter = _letter(opened, way, channel, record.language)
    try:
        done = write_letter(opened, way.person, letter, channel=channel, beside=[way.row])
    except (NotFound, Shredded):  # erased meanwhile
        return False
    return not isinstance(done, Refusal)


def _letter(opened: Workspace, way: entry.Way, channel: Channel, language: str) -> outreach.Letter:
    spoken = language if language in _said()["words"] else "en"
    words: Mapping[str, str] = _said()["words"][spoken]
    told = {
        "brand": opened.settings.title,
        "minutes": _said()["link"]["minutes"],
        "code": way.code,
    }
    say = {name: text.format(**told) for name, text in words.items()}
    if channel is Channel.SMS:
        return outreach.Letter("entry_link", say["subject_sms"], (say["sms"],), language=spoken)
    return outreach.Letter(
        "entry_link",
        say["subject"],
        (say["opening"], say["times"], say["not_you"]),
        link=f"{opened.settings.base_url}/my/in/{way.token}",
        link_text=say["button"],
        code=say["code"],
        language=spoken,
    )


def entry_round(opened: Workspace, relay: tuple[str, int] | None = None) -> bool:
    """Write and hand over what waits; True where anything was done. For workers, each round.

    Raises:
        Unavailable: A relay or provider cannot be reached; what is booked waits.
    """
    booked = write_entries(opened) + collect_round(opened)
    return deliver_letters(opened, relay) > 0 or booked > 0


@dataclass(slots=True)
class Doorman:
    """Does the later step right after an answer, in a thread of this process; one at a time.

    Attributes:
        step: All of it; or `write_entries` alone, where a worker hands over by a way of its own.
    """

    opened: Workspace
    step: Callable[[Workspace], object] = entry_round
    _asked: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _thread: threading.Thread | None = None

    def call(self) -> None:
        """Have it done; returns at once."""
        self._asked.set()
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="doorman", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while self._asked.is_set():
            self._asked.clear()
            try:
                self.step(self.opened)
            except Exception:  # noqa: BLE001 - what waits is the worker's at its next round
                return

    def settle(self) -> None:
        """Wait until what was called for is done."""
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()


# Stopping the mail of an address without coming in


def stop_address(opened: Workspace, found: entry.Opened, days: int = 0) -> None:
    """Stop all marketing to an address that its reader may stop, for good or for some days.

    It binds whoever holds the address; messages of service go on.
    """
    _suppress(opened, Channel(found.channel), (found.bi, found.sup), days)


def stop_mail_address(opened: Workspace, token: str, days: int = 0) -> None:
    """Stop all marketing to the address a mail went to, by the token of that mail's own links.

    Of somebody whose id was merged into another, the address in use is stopped as well; of
    somebody who has another address by now, the one the mail went to alone.

    Raises:
        NotFound: The token is not known or has expired.
    """
    stop = preferences.read_token(opened.desk, token)
    channel = Channel(stop.channel)
    if not preferences.is_theirs(opened.desk, stop):
        _suppress(opened, channel, (b"", bytes.fromhex(stop.sup)), days)
        return
    with opened.store.look() as view:
        found = view.gather([opened.desk.keeper(view, stop.person), stop.person], channel)
    points = {(g.contact.bi, g.contact.sup) for g in found if g.contact is not None}
    if not points:
        raise NotFound("this link is not known or has expired", "ask for a fresh link")
    for point in sorted(points):
        _suppress(opened, channel, point, days)


def _suppress(opened: Workspace, channel: Channel, point: tuple[bytes, bytes], days: int) -> None:
    bi, sup = point
    with opened.store.look() as view:
        now = view.now
    block = Block("unsubscribe", since=now, until=Instant(now + days * DAY) if days else 0)
    reader = Actor(Role.PERSON, sup.hex())  # whoever reads this address, none of its holders
    told = "mail page, pause" if days else "mail page"
    for _ in range(_TRIES):
        try:
            preferences.suppress_point(opened.desk, channel, bi, sup, block, told, reader)
        except Conflict:
            continue
        return
    raise Unavailable("others keep writing to this record", "repeat in a moment", 1)


# Passkeys


def passkey_creation(opened: Workspace, site: Site, person: PersonId, challenge: bytes) -> str:
    """Return, as JSON, what a browser needs to make a passkey for somebody who is in."""
    title = opened.settings.title
    return passkeys.creation(opened.desk, keys(opened), site, person, title, challenge)


def keep_passkey(
    opened: Workspace, site: Site, person: PersonId, challenge: bytes, answer: str
) -> None:
    """Keep a passkey; see `passkeys.keep`."""
    passkeys.keep(opened.desk, keys(opened), site, person, challenge, answer)


def enter_by_passkey(
    opened: Workspace, site: Site, challenge: bytes, answer: str
) -> PersonId | None:
    """Return who comes in by a passkey, or None; see `passkeys.enter`."""
    return passkeys.enter(opened.desk, keys(opened), site, challenge, answer)


# Where a request comes from


def shorter(network: str) -> str:
    """Return the network a request comes from: an IPv6 address counts by its first 64 bits.

    >>> shorter("2001:db8:1:2:3:4:5:6")
    '2001:db8:1:2'
    """
    if ":" not in network or "." in network:
        return network
    head, _, tail = network.partition("::")
    parts = [each for each in head.split(":") if each]
    rest = [each for each in tail.split(":") if each]
    whole = [*parts, *["0"] * (8 - len(parts) - len(rest)), *rest]
    return ":".join(whole[:4])
