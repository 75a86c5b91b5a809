"""The tour's sample list: what a mail tool would hand out about people this house never met.

Nobody of it is a customer of the demo; whoever drops it into the list check sees every answer.
The mixture lies in `data/demo/list.toml`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from troth.surfaces.demo import people
from troth.surfaces.demo.draw import Draw
from troth.surfaces.demo.people import told

FILE = "list-sample.csv"
COLUMNS = (
    "Subscriber", "First name", "Last name", "Country", "Province", "Status", "Signup date",
    "Signup IP", "Signup form", "Consent wording", "Confirmation date", "Confirmation IP",
    "Last order date", "Address taken at sale", "Opt out offered at sale", "Unsubscribed date",
    "List source",
)  # fmt: skip
"""Headings as a mail tool writes them, and some that the shop added."""

_NETWORK = "192.0.2"
_AGREED = frozenset({"proven", "confirmed", "old"})
_STATUS = {
    "unsubscribed": "Unsubscribed", "bounced": "Bounced", "junk": "Junk",
    "unconfirmed": "Unconfirmed", "snoozed": "Snoozed",
}  # fmt: skip
_SIGNED = {  # how many days ago somebody signed up, from and to
    "proven": (20, 640), "confirmed": (20, 640), "half": (60, 640), "old": (760, 1400),
    "unsubscribed": (200, 900), "bounced": (200, 900), "junk": (200, 900),
    "unconfirmed": (30, 400), "snoozed": (60, 600),
}  # fmt: skip

Row = Mapping[str, str]


def rows(now: datetime, seed: int) -> Iterator[Row]:
    """Yield the list, a heading → cell mapping a line; the same mixture at any moment."""
    mix = told("list")
    written = [
        _row(Draw(seed, f"list {number}"), mix["first"] + number, now)
        for number in range(mix["rows"])
    ]
    yield from written
    for number in range(mix["again"]):
        draw = Draw(seed, f"again {number}")
        yield written[draw.whole("whose", 0, len(written) - 1)]
    for name in mix["role"]["mailboxes"]:
        for number in range(mix["role"]["each"]):
            yield _mailbox(name, Draw(seed, f"{name} {number}"))


def _row(draw: Draw, number: int, now: datetime) -> Row:
    mix, names = told("list"), told("names")
    profile = draw.weigh("profile", mix["profile"])
    home = draw.weigh("residence", mix["residence"])
    region = draw.weigh("region", names["region"][home])
    given, family = (draw.pick(part, names[part][region]) for part in ("given", "family"))
    address = people.address(draw, given, family, number)
    country, _, part = home.partition("-")
    known = profile != "nowhere"
    return {
        "Subscriber": address.replace("@", " at ") if profile == "broken" else address,
        "First name": given,
        "Last name": family,
        "Country": country if known else "",
        "Province": part if known else "",
        "Status": _STATUS.get(profile, "Active"),
        "List source": "Bought list" if profile == "bought" else "Website",
        **_signed(draw, profile, _Wall(now, ZoneInfo(names["zone"][home]))),
    }


@dataclass(frozen=True, slots=True)
class _Wall:
    """Writes a moment of the past by one wall clock."""

    now: datetime
    zone: ZoneInfo

    def __call__(self, days: int, minutes: int) -> str:
        at = self.now - timedelta(days=days, minutes=minutes)
        return at.astimezone(self.zone).isoformat(timespec="seconds")


def _signed(draw: Draw, profile: str, wall: _Wall) -> Row:
    """Return what the list knows of how somebody came onto it."""
    if profile == "customer":
        return {
            "Last order date": wall(draw.whole("order", 10, 300), 0)[:10],
            "Address taken at sale": "yes",
            "Opt out offered at sale": "yes",
        }
    if profile not in _SIGNED:
        return {}
    days, minute = draw.whole("signed", *_SIGNED[profile]), draw.whole("minute", 0, 600)
    said = {
        "Signup date": wall(days, minute),
        "Signup IP": f"{_NETWORK}.{draw.whole('from', 1, 254)}",
        "Signup form": draw.weigh("form", told("list")["form"]),
    }
    if profile in _AGREED:
        said["Consent wording"] = f"offers@{shown_then(days)}"
    if profile == "confirmed":
        said["Confirmation date"] = wall(days, minute - draw.whole("wait", 2, 55))
        said["Confirmation IP"] = said["Signup IP"]
    if profile == "unsubscribed":
        said["Unsubscribed date"] = wall(draw.whole("left", 5, 190), minute)
    return said


def shown_then(days: int) -> int:
    """Return which version of the notice of offers was shown so many days ago.

    >>> shown_then(100), shown_then(400)
    (3, 2)
    """
    shown: Mapping[str, int] = told("mix")["notices"]["offers"]
    return max((int(v) for v, weeks in shown.items() if weeks * 7 > days), default=1)


def _mailbox(name: str, draw: Draw) -> Row:
    """Return a mailbox that is a role's, not a person's."""
    names = told("names")
    company = draw.pick("company", names["organisation_name"]["all"])
    plain = "".join(letter for letter in company.lower() if letter.isascii() and letter.isalpha())
    return {
        "Subscriber": f"{name}@{plain}.example",
        "Last name": company,
        "Country": "ZA",
        "Status": "Active",
        "List source": "Website",
    }
