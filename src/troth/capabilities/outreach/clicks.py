"""How often the links of a campaign are followed, counted without knowing by whom.

A counted link names campaign and number and carries a tag over both and over where it leads; that
address was kept when the first message with it was booked, and nothing else is ever led to. What
is written is a number a day, link and campaign. It can be driven up by anybody who has the link:
it is a hint, never a measure of people.
"""

import re
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from troth import crypto
from troth.capabilities.outreach.model import Sender
from troth.engines import mail
from troth.errors import InvalidInput
from troth.kernel.desk import Desk
from troth.kernel.vault import lp
from troth.ports import Transaction, View
from troth.terms import SECOND, Instant, moment

TARGETS, COUNTS = "outreach.target", "outreach.clicks"
TAG_BYTES = 12
FLUSH = SECOND
MOST_WAITING = 1_000
_NUMBER = re.compile(r"[1-9][0-9]{0,2}")


def counting(sender: Sender, campaign: str) -> mail.Counting:
    """Say where a campaign's counted links and open marks lead."""
    base = sender.base_url
    return mail.Counting(f"{base}/go/{campaign}", sender.domain, f"{base}/o")


def tag(desk: Desk, campaign: str, number: int, url: str) -> str:
    """Return what proves that a numbered link of a campaign leads to an address."""
    told = lp(b"go", campaign.encode(), str(number).encode(), url.encode())
    return crypto.mac(desk.vault.keys.secret("token"), told)[:TAG_BYTES].hex()


def keep(tx: Transaction, desk: Desk, campaign: str, targets: Mapping[int, str]) -> None:
    """Keep where a campaign's links lead, in the commit that books messages with them."""
    for number, url in targets.items():
        tx.claim_row(TARGETS, _place(campaign, number, tag(desk, campaign, number, url)),
                     url.encode())  # fmt: skip


def _place(campaign: str, number: int, proof: str) -> bytes:
    return f"{campaign}/{number}/{proof}".encode()


@dataclass(frozen=True, slots=True)
class Followed:
    """A counted link as somebody follows it; `mark` is "" for nearly everybody."""

    campaign: str
    number: int
    url: str
    mark: str = ""


def read_link(desk: Desk, view: View, campaign: str, told: str) -> Followed:
    """Return where a counted link leads: only where a booked message of the campaign said.

    Raises:
        InvalidInput: It is none of ours, or was altered.
    """
    number, _, rest = told.partition(".")
    proof, _, mark = rest.partition(".")
    known = _NUMBER.fullmatch(number) is not None
    url = view.row(TARGETS, _place(campaign, int(number), proof)) if known else None
    if url is not None and len(mark) <= mail.links.MARK_MAX and mark.isascii():
        good = tag(desk, campaign, int(number), url.decode())
        if crypto.same(good.encode(), proof.encode()):
            return Followed(campaign, int(number), url.decode(), mark)
    raise InvalidInput("this link is not one of ours, or was altered", "open it from the message")


@dataclass(slots=True)
class Clicks:
    """Counts that wait to be written: at most one write a second, however many follow a link."""

    desk: Desk
    _waiting: Counter[tuple[str, int, str]] = field(default_factory=Counter)
    _written: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, followed: Followed, now: Instant) -> None:
        """Count one; nothing about who."""
        with self._lock:
            day = moment(now).date().isoformat()
            key = (followed.campaign, followed.number, day)
            if key in self._waiting or len(self._waiting) < MOST_WAITING:
                self._waiting[key] += 1
            if not self._written <= now < self._written + FLUSH:
                self._flush(now)

    def flush(self) -> None:
        """Write what waits."""
        with self._lock:
            self._flush(0)

    def _flush(self, now: int) -> None:
        if self._waiting:
            with self.desk.store.book() as tx:
                for (campaign, number, day), count in self._waiting.items():
                    key = f"{campaign}/{number}/{day}".encode()
                    held = int(tx.row(COUNTS, key) or b"0")
                    tx.put_row(COUNTS, key, b"%d" % (held + count))
            self._waiting.clear()
        self._written = now


@dataclass(frozen=True, slots=True)
class LinkCount:
    """How often one link was followed, all days together."""

    number: int
    url: str
    count: int


def link_counts(view: View, campaign: str) -> list[LinkCount]:
    """Return a campaign's links with how often each was followed, in the message's order."""
    counts: Counter[int] = Counter()
    for key, raw in view.rows(COUNTS, f"{campaign}/".encode(), b"", 10_000):
        counts[int(key.split(b"/")[1])] += int(raw)
    urls = {
        int(key.split(b"/")[1]): raw.decode()
        for key, raw in view.rows(TARGETS, f"{campaign}/".encode(), b"", 1_000)
    }
    return [LinkCount(number, urls[number], counts[number]) for number in sorted(urls)]
