"""A way in without a password: asking for one, what is sent, and what it opens, once.

Asking does the same work and the same writes whether or not anybody holds the address: it counts
the ask, keeps it sealed in a queue and gives the browser a code nobody can know. Only a later step
looks who holds the address (`take`, `looked_up`), and writes to them. The link is kept as a MAC,
the code as one bound to the browser that asked; both are over once either was used. An address
that several people hold opens nobody's data.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from troth import crypto
from troth.engines import contact as addresses
from troth.errors import EvidenceBroken, InvalidInput, NotFound
from troth.kernel.desk import Desk, drop_pointer, put_pointer
from troth.kernel.vault import lp
from troth.ports import Transaction, View
from troth.terms import (
    SECOND,
    Channel,
    ContactPoint,
    Instant,
    PersonId,
    address_of,
)

QUEUE, RATES, BROWSERS, LINKS, PROVEN = (
    "people.entry.queue",
    "people.entry.rate",
    "people.entry.browser",
    "people.entry.link",
    "people.entry.proven",
)
TOKEN_BYTES = 20
_MAC = 16
_HOUR, _DAY = 3600 * SECOND, 86_400 * SECOND
SWEPT = 500


@dataclass(frozen=True, slots=True)
class EntryLimits:
    """Lengths and limits from `data/entry.toml`; durations in microseconds."""

    life: int
    digits: int
    tries: int
    address: tuple[tuple[int, int], ...]
    network: tuple[tuple[int, int], ...]
    lease: int
    batch: int


@dataclass(frozen=True, slots=True)
class Address:
    """An address somebody asked with, as it is kept: by MAC, and how a page may show it."""

    channel: Channel
    point: ContactPoint
    shown: str


@dataclass(frozen=True, slots=True)
class Ask:
    """One ask as the queue holds it; `browser` is the MAC of who asked, b"" nobody's."""

    key: bytes
    channel: str
    bi: bytes
    shown: str
    browser: bytes
    at: int


class _Link(msgspec.Struct, array_like=True):
    """A link as kept; `state` is open or shared, `person` the one it was written to."""

    state: str
    person: bytes
    channel: str
    bi: bytes
    sup: bytes
    until: int
    shown: str


class _Browser(msgspec.Struct, array_like=True):
    """What a browser that asked may still try.

    `asked` is the key of its newest ask, `link` that of the link its code belongs to.
    """

    code: bytes
    tries: int
    until: int
    asked: bytes
    link: bytes = b""


@dataclass(frozen=True, slots=True)
class Opened:
    """Where a link or code leads: to one person, or, shared, to nobody's data.

    Attributes:
        person: Whose visit begins; None where several hold the address.
        channel: On which the address was proven to be theirs.
    """

    person: PersonId | None
    channel: str
    bi: bytes
    sup: bytes
    shown: str


def read_address(desk: Desk, text: str, region: str) -> Address:
    """Read what somebody typed: an e-mail address or a telephone number.

    Raises:
        InvalidInput: It is neither.
    """
    channel = Channel.EMAIL if "@" in text else Channel.SMS
    normalised = addresses.normalise(channel, text.strip(), region)
    point = desk.contact(channel, normalised, addresses.NORMALISER)
    return Address(channel, point, addresses.masked(channel, normalised))


def ask(desk: Desk, limits: EntryLimits, address: Address, network: str, browser: str) -> bool:
    """Ask for a way in; False only where this network asked too often, whatever it asked for.

    One write of three rows that are the same whoever holds the address, or nobody. An address
    asked for too often gets the same answer and the same writes, and its ask is left unsent.

    Args:
        desk: The desk.
        limits: How often.
        address: For which.
        network: Where from, as text; kept only as a MAC, and for a day.
        browser: The cookie of the browser that asks; a code will be its alone.
    """
    mine, sup = _mac(desk, b"browser", browser.encode()), address.point.sup
    by_network = _mac(desk, b"network", network.encode())
    blank, row = desk.randomness.take(_MAC), desk.randomness.take(8)
    nonce = desk.randomness.take(crypto.NONCE_BYTES)
    with desk.store.book() as tx:
        if not _counted(tx, b"n" + by_network, limits.network):
            return False
        wanted = _counted(tx, b"a" + _mac(desk, b"address", sup), limits.address)
        key = tx.now.to_bytes(8, "big") + row
        said = (str(address.channel), address.point.bi, address.shown, mine, tx.now, wanted)
        plain = msgspec.msgpack.encode(said)
        tx.put_row(QUEUE, key, bytes(8) + nonce + _aead(desk).seal(nonce, plain, key))
        waits = _Browser(blank, limits.tries, tx.now + limits.life, key)
        tx.put_row(BROWSERS, mine, msgspec.msgpack.encode(waits))
    return True


def _mac(desk: Desk, what: bytes, told: bytes) -> bytes:
    return crypto.mac(desk.vault.keys.secret("token"), lp(b"entry", what, told))[:_MAC]


def _aead(desk: Desk) -> crypto.Aead:
    return crypto.Aead(crypto.hkdf(desk.vault.keys.secret("token"), b"troth/entry"))


def _counted(tx: Transaction, key: bytes, windows: Sequence[tuple[int, int]]) -> bool:
    """Count one ask under a key; False where it is one too many, and then nothing is counted."""
    held = tx.row(RATES, key)
    times: list[int] = msgspec.msgpack.decode(held) if held else []
    longest = max(length for _, length in windows)
    times = [at for at in times if tx.now - longest < at <= tx.now]
    good = all(sum(tx.now - length < at for at in times) < most for most, length in windows)
    kept = [*times, tx.now] if good else times
    tx.put_row(RATES, key, msgspec.msgpack.encode(kept))
    return good


# The later step


def take(desk: Desk, limits: EntryLimits) -> list[Ask]:
    """Take asks from the queue, each for a while; what is left of a dead worker's is taken again.

    One that cannot be opened, is older than a link would live, or was one too many is dropped.
    """
    out: list[Ask] = []
    with desk.store.look() as view:
        if not view.rows(QUEUE, b"", b"", 1):
            return []
    with desk.store.book() as tx:
        for key, held in tx.rows(QUEUE, b"", b"", limits.batch):
            if int.from_bytes(held[:8], "big") > tx.now:
                continue
            found = _read_ask(desk, key, held)
            if found is None or found.at + limits.life <= tx.now:
                tx.put_row(QUEUE, key, None)
                continue
            until = Instant(tx.now + limits.lease)
            tx.put_row(QUEUE, key, until.to_bytes(8, "big") + held[8:])
            out.append(found)
    return out


def _read_ask(desk: Desk, key: bytes, held: bytes) -> Ask | None:
    nonce, sealed = held[8 : 8 + crypto.NONCE_BYTES], held[8 + crypto.NONCE_BYTES :]
    try:
        plain = _aead(desk).open(nonce, sealed, key)
    except EvidenceBroken:
        return None
    channel, bi, shown, browser, at, wanted = msgspec.msgpack.decode(plain)
    return Ask(key, channel, bi, shown, browser, at) if wanted else None


def end(desk: Desk, limits: EntryLimits, asked: Ask, sent: "Way | None" = None) -> None:
    """End an ask: nobody holds the address, or what was to be sent is booked.

    The code sent begins to fit in the browser that asked, if this was the last it asked for.
    """
    with desk.store.book() as tx:
        tx.put_row(QUEUE, asked.key, None)
        held = tx.row(BROWSERS, asked.browser)
        waits = msgspec.msgpack.decode(held, type=_Browser) if held else None
        if sent is None or waits is None or waits.asked != asked.key:
            return
        waits.code, waits.link = _code_mac(desk, asked.browser, sent.code), sent.key
        waits.tries, waits.until = limits.tries, tx.now + limits.life
        tx.put_row(BROWSERS, asked.browser, msgspec.msgpack.encode(waits))


def holders(desk: Desk, view: View, channel: str, bi: bytes) -> list[PersonId]:
    """Return who holds an address now; merged ids once, nobody who is leaving."""
    kept = dict.fromkeys(desk.keeper(view, each) for each in view.find(Channel(channel), bi))
    found = view.gather(list(kept), None)
    return [g.person for g in found if not g.record.erasing and not g.record.alias]


@dataclass(frozen=True, slots=True)
class Way:
    """A link and a code for one ask.

    Attributes:
        person: To whom the letter goes.
        key: What the link is kept under.
        row: By which it is known again; written in the commit that books the letter.
    """

    person: PersonId
    token: str
    code: str
    key: bytes
    row: tuple[str, bytes, bytes]


def way(desk: Desk, view: View, limits: EntryLimits, asked: Ask) -> Way | None:
    """Draw a link and a code for whoever holds the address; None where nobody does."""
    known = holders(desk, view, asked.channel, asked.bi)
    at_it = [g for g in view.gather(known, Channel(asked.channel)) if g.contact is not None]
    if not at_it:
        return None
    at_it.sort(key=lambda g: (g.contact is None or g.contact.bi != asked.bi, g.person))
    chosen = at_it[0]
    point = chosen.contact
    if point is None:
        return None
    raw = desk.randomness.take(TOKEN_BYTES + 8)
    token = base64.b32encode(raw[:TOKEN_BYTES]).decode().lower()
    number = int.from_bytes(raw[TOKEN_BYTES:], "big") % 10**limits.digits
    code = f"{number:0{limits.digits}}"
    until, key = view.now + limits.life, link_key(desk, token)
    shown = desk.seal_beside_token(token, asked.shown)
    link = _Link("open", chosen.person, asked.channel, point.bi, point.sup, until, shown)
    row = (LINKS, key, msgspec.msgpack.encode(link))
    return Way(chosen.person, token, code, key, row)


def link_key(desk: Desk, token: str) -> bytes:
    """Return the MAC a link is kept under; the token itself is nowhere."""
    return _mac(desk, b"link", token.encode())


def _code_mac(desk: Desk, browser: bytes, code: str) -> bytes:
    return _mac(desk, b"code", lp(browser, code.encode()))


# Coming in


def read_link(desk: Desk, token: str) -> Opened:
    """Look a link up; changes nothing, however often a scanner follows it.

    Raises:
        NotFound: Unknown, used, over or malformed: one answer for all.
    """
    with desk.store.look() as view:
        link = _link(desk, view, token)
        return _leads(desk, view, link, desk.open_beside_token(token, link.shown))


def _unknown() -> NotFound:
    return NotFound("this link was used or is over", "ask for a fresh one")


def _link(desk: Desk, view: View, token: str, states: Iterable[str] = ("open",)) -> _Link:
    well = token.isascii() and token.isalnum() and len(token) == TOKEN_BYTES * 8 // 5
    held = view.row(LINKS, link_key(desk, token)) if well else None
    if held is None:
        raise _unknown()
    link = msgspec.msgpack.decode(held, type=_Link)
    if link.until <= view.now or link.state not in states:
        raise _unknown()
    return link


def _leads(desk: Desk, view: View, link: _Link, shown: str) -> Opened:
    """Look who holds the address now: one is let in, several are not."""
    known = holders(desk, view, link.channel, link.bi)
    if not known:
        raise _unknown()
    person = known[0] if len(known) == 1 else None
    return Opened(person, link.channel, link.bi, link.sup, shown)


def enter_by_link(desk: Desk, token: str) -> Opened:
    """Use a link up; of two at once, one gets in. A shared address stays open for a stop alone.

    Raises:
        NotFound: As `read_link`.
    """
    with desk.store.book() as tx:
        link = _link(desk, tx, token)
        opened = _leads(desk, tx, link, desk.open_beside_token(token, link.shown))
        _used(tx, link_key(desk, token), link, opened)
    return opened


def enter_by_code(desk: Desk, browser: str, given: str) -> Opened | None:
    """Use a code up; None is all that is said of a failure. Each try writes the same one row."""
    mine = _mac(desk, b"browser", browser.encode())
    digits = "".join(each for each in given if each.isdigit())[:12]
    tried = _code_mac(desk, mine, digits)
    with desk.store.book() as tx:
        held = tx.row(BROWSERS, mine)
        if held is None:
            return None
        waits = msgspec.msgpack.decode(held, type=_Browser)
        fits = crypto.same(waits.code, tried)
        good = fits and waits.tries > 0 and waits.until > tx.now and bool(waits.link)
        raw = tx.row(LINKS, waits.link) if good else None
        link = msgspec.msgpack.decode(raw, type=_Link) if raw else None
        waits.tries = 0 if good else max(waits.tries - 1, 0)
        tx.put_row(BROWSERS, mine, msgspec.msgpack.encode(waits))
        if link is None or link.state != "open" or link.until <= tx.now:
            return None
        try:
            opened = _leads(desk, tx, link, "")
        except NotFound:
            return None
        if opened.person is not None:  # of a shared address the link alone may stop the mail
            _used(tx, waits.link, link, opened)
    return opened


def _used(tx: Transaction, key: bytes, link: _Link, opened: Opened) -> None:
    """End a link, and note that its address is proven; a shared one proves nobody."""
    if opened.person is None:
        link.state = "shared"
        tx.put_row(LINKS, key, msgspec.msgpack.encode(link))
        return
    drop_pointer(tx, PersonId(link.person), LINKS, key)
    proof = msgspec.msgpack.encode((tx.now, link.sup))
    put_pointer(tx, opened.person, PROVEN, _proven(opened.person, link.channel), proof)


def _proven(person: PersonId, channel: str) -> bytes:
    return person + address_of(Channel(channel)).encode()


def proven(view: View, person: PersonId, channel: Channel) -> Instant:
    """Return when the address a person has on a channel was last proven theirs; 0 never."""
    held = view.row(PROVEN, _proven(person, channel))
    found = view.gather([person], channel)
    contact = found[0].contact if found else None
    if held is None or contact is None:
        return Instant(0)
    at, sup = msgspec.msgpack.decode(held)
    return Instant(at if sup == contact.sup else 0)


def read_shared(desk: Desk, token: str) -> Opened:
    """Look up a used link of a shared address: it opens nobody's data, and may stop its mail.

    Raises:
        NotFound: As `read_link`.
    """
    with desk.store.look() as view:
        link = _link(desk, view, token, ("shared",))
        return Opened(
            None, link.channel, link.bi, link.sup, desk.open_beside_token(token, link.shown)
        )


def sweep(desk: Desk) -> int:
    """Delete what is over of links, browsers and counts; return how much."""
    gone: list[tuple[str, bytes, PersonId | None]] = []
    with desk.store.look() as view:
        for table, ended in _ENDED.items():
            after = b""
            while page := view.rows(table, b"", after, SWEPT):
                found = [(table, key, ended(held, view.now)) for key, held in page]
                gone += [(t, key, whose or None) for t, key, whose in found if whose is not None]
                after = page[-1][0]
    for start in range(0, len(gone), SWEPT):
        with desk.store.book() as tx:
            for table, key, whose in gone[start : start + SWEPT]:
                if whose:
                    drop_pointer(tx, whose, table, key)
                else:
                    tx.put_row(table, key, None)
    return len(gone)


_NOBODY = PersonId(b"")


def _link_over(held: bytes, now: int) -> PersonId | None:
    """Return whom a link that is over was written to; None while it is not over."""
    link = msgspec.msgpack.decode(held, type=_Link)
    return PersonId(link.person) if link.until <= now else None


def _browser_over(held: bytes, now: int) -> PersonId | None:
    return _NOBODY if msgspec.msgpack.decode(held, type=_Browser).until <= now else None


def _rate_over(held: bytes, now: int) -> PersonId | None:
    times: list[int] = msgspec.msgpack.decode(held)
    return _NOBODY if not times or times[-1] <= now - _DAY else None


_ENDED = {LINKS: _link_over, BROWSERS: _browser_over, RATES: _rate_over}


def read_limits(said: Mapping[str, Mapping[str, int]]) -> EntryLimits:
    """Read `data/entry.toml`."""
    lengths = {"per_hour": _HOUR, "per_day": _DAY}

    def windows(name: str) -> tuple[tuple[int, int], ...]:
        return tuple((most, lengths[each]) for each, most in said[name].items())

    if said["code"]["digits"] < 6:  # noqa: PLR2004 - a million codes at least
        raise InvalidInput("a code has six digits at least", "correct data/entry.toml")
    return EntryLimits(
        life=said["link"]["minutes"] * 60 * SECOND,
        digits=said["code"]["digits"],
        tries=said["code"]["tries"],
        address=windows("address"),
        network=windows("network"),
        lease=said["queue"]["lease_seconds"] * SECOND,
        batch=said["queue"]["batch"],
    )
