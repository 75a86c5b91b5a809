"""Who outside the record is given data, in which country, and what crosses the border."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from troth.capabilities.trust.facts import FILE, Facts, told
from troth.capabilities.trust.papers import Gap, Line

HERE: Final = frozenset({"localhost", "127.0.0.1", "[::1]", "::1", ""})
_NONE: Final = "None: nobody outside the country of our seat gets data."
_STORED: Final = "storage.country"


@dataclass(frozen=True, slots=True)
class Recipient:
    """Somebody outside the record who is given data.

    Attributes:
        key: Its table in `troth.toml`.
        here: On this machine or by file: no other company, nothing leaves the country by it.
    """

    title: str
    key: str
    open_title: str
    country: str
    transfer: str
    pairs: tuple[tuple[str, str], ...]
    here: bool


def recipients(facts: Facts) -> list[Recipient]:
    """Return everybody outside the record who is given data, as published."""
    mail = facts.table("mail")
    relay = str(mail.get("relay", ""))
    found = [_recipient("Mail relay", "mail", "Provider of mail delivery", mail, relay)]
    for name, said in sorted(facts.table("channels").items()):
        place = str(said.get("provider", ""))
        by = facts.words.facts["channel"].get(name, name)
        title = f"Provider of {by} messages"
        found.append(_recipient(title, f"channels.{name}", title, said, place))
    for name, said in sorted(facts.table("connections").items()):
        place = str(said.get("url", ""))
        title = f"Connected system {name}"
        found.append(_recipient(title, f"connections.{name}", "Tools we use", said, place))
    return found


def _recipient(
    title: str, key: str, open_title: str, said: Mapping[str, Any], place: str
) -> Recipient:
    host = urlsplit(place).hostname if "://" in place else place.rpartition(":")[0] or place
    here = (host or "") in HERE
    pairs = [("Place", "this machine" if here else str(host))]
    pairs += [("Purpose", str(said["purpose"]))] if said.get("purpose") else []
    if said.get("channel"):
        pairs.append(("Is told", f"who may be written to by {said['channel']}"))
    country, transfer = str(said.get("country", "")), str(said.get("transfer", ""))
    return Recipient(title, key, open_title, country, transfer, tuple(pairs), here)


def lines(facts: Facts) -> Iterator[Line]:
    """Yield each by name, with place and country."""
    for each in recipients(facts):
        country = (("Country", each.country),) if each.country else ()
        gaps = () if each.country or each.here else (_country_gap(each),)
        yield Line(each.title, (*each.pairs, *country), facts.source, gaps)


def _country_gap(each: Recipient) -> Gap:
    return Gap(f"Country of: {each.title.lower()}", FILE, f"{each.key}.country")


def lines_open(facts: Facts) -> Iterator[Line]:
    """Yield kinds of recipients, for a page that anybody reads."""
    kinds: dict[str, list[Recipient]] = {}
    for each in recipients(facts):
        kinds.setdefault(each.open_title, []).append(each)
    for title, held in kinds.items():
        places = sorted({each.country for each in held if each.country})
        said = f"in {', '.join(places)}" if places else "on our own machines"
        gaps = tuple(_country_gap(e) for e in held if not (e.country or e.here))
        pairs = () if gaps and not places else (("", said),)
        yield Line(title, pairs, facts.source, gaps)


def transfers(facts: Facts) -> Iterator[Line]:
    """Yield what leaves the country of the seat, and on which safeguard."""
    seat = facts.house.seat.partition("-")[0]
    held = recipients(facts)
    unknown = tuple(_country_gap(e) for e in held if not (e.country or e.here))
    abroad = [e for e in held if e.country and e.country.partition("-")[0] != seat]
    stored = str(facts.table("storage").get("country", ""))
    for each in abroad:
        safeguard = (("Safeguard", each.transfer),) if each.transfer else ()
        gaps: tuple[Gap, ...] = (
            () if safeguard else (Gap("Safeguard of the transfer", FILE, f"{each.key}.transfer"),)
        )
        yield Line(each.title, (("To", each.country), *safeguard), facts.source, gaps)
    if stored and stored.partition("-")[0] != seat:
        pairs, gaps = told(facts, "storage", [("transfer", "Safeguard of the transfer")])
        yield Line("The record itself", (("Stored in", stored), *pairs), facts.source, gaps)
    elif not abroad:
        gaps = unknown if stored else (*unknown, Gap("Country of the record", FILE, _STORED))
        yield Line("Transfers", () if gaps else (("", _NONE),), facts.source, gaps)
