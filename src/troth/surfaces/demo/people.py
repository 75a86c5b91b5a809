"""The demo's people: one generated customer per published household, and the cast.

Names, addresses, relations and choices are invented; every e-mail address lies under a reserved
domain. Telephone numbers stay empty: South Africa reserves no range for fiction.
"""

import re
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

from troth.surfaces.demo.draw import Draw

HOUSE_ZONE = "Africa/Johannesburg"
HOUSE_CURRENCY = "ZAR"
GOODS = "household"
_ADULT = (19, 84)
_MINOR = (10, 14)
_FOLDS = str.maketrans({"ß": "ss", "ü": "ue", "ö": "oe", "ä": "ae"})


@dataclass(frozen=True, slots=True)
class Customer:
    """One customer as the customers file tells it, and what its history is generated from.

    Attributes:
        household: The published household whose purchases are theirs; 0 none.
        profile: What their consent history looks like, a key of `[profile]`; "cast" for the cast.
        relation_days: How long ago an inquiry was, or a sale before the published purchases; 0 for
            a sale dated by the first purchase.
        offered: A free and easy objection was offered when the details were taken.
        acts: The cast's acts as written down.
    """

    external_id: str
    household: int
    email: str
    given_name: str = ""
    family_name: str = ""
    residence: str = ""
    zone: str = ""
    language: str = ""
    birth_year: int = 0
    subject: str = "natural"
    competent_person_email: str = ""
    interests: tuple[str, ...] = ()
    relation_kind: str = ""
    relation_days: int = 0
    details_from_sale: bool = False
    offered: bool = False
    source: str = ""
    profile: str = "cast"
    acts: tuple[Mapping[str, Any], ...] = ()
    suppression: Mapping[str, Any] | None = None

    @property
    def wall_zone(self) -> str:
        """The zone in which this household's clocks are read: its own, else the house's."""
        return self.zone or HOUSE_ZONE

    @property
    def minor(self) -> bool:
        """Whether somebody else must agree for them."""
        return bool(self.competent_person_email)


@cache
def told(name: str) -> dict[str, Any]:
    """Return one of the demo's data files, such as `names`."""
    return tomllib.loads((files("troth") / "data" / "demo" / f"{name}.toml").read_text("utf-8"))


def currency(residence: str) -> str:
    """Return the currency of a residence; the house's own where it is not known."""
    return str(told("names")["currency"].get(residence, HOUSE_CURRENCY))


def customers(
    households: Sequence[int], bands: Mapping[int, str], now: datetime, seed: int
) -> list[Customer]:
    """Return everybody: households in order, then the cast that bought nothing."""
    members = [_member(each, now) for each in told("cast")["member"]]
    played = {member.household: member for member in members if member.household}
    people: list[Customer] = []
    for household in households:
        if household in played:
            people.append(played[household])
            continue
        one = _customer(household, bands.get(household, ""), now, seed)
        people.append(_share_mailbox(one, people, seed))
    return people + [member for member in members if not member.household]


def earlier(seed: int) -> list[Customer]:
    """Return those who bought in Canada before the published purchases begin."""
    return [_earlier(number, seed) for number in range(told("mix")["counts"]["earlier_canadians"])]


def _earlier(number: int, seed: int) -> Customer:
    """One who never said a word: every second one bought too long ago."""
    draw = Draw(seed, f"earlier {number}")
    names, homes = told("names"), told("names")["residence"]
    home = draw.weigh("residence", {k: v for k, v in homes.items() if k.startswith("CA-")})
    region = draw.weigh("region", names["region"][home])
    given, family = (draw.pick(part, names[part][region]) for part in ("given", "family"))
    low, high = told("mix")["earlier"]["lapsed" if number % 2 else "fresh"]
    return Customer(
        external_id=f"ca-{number:04d}",
        household=0,
        email=address(draw, given, family, 8000 + number),
        given_name=given,
        family_name=family,
        residence=home,
        zone=names["zone"][home],
        language=draw.weigh("language", names["language"][region]),
        relation_kind="sale",
        relation_days=draw.whole("bought", low, high),
        details_from_sale=True,
        offered=True,
        source=names["source"]["list"]["label"],
        profile="soft",
    )


def _member(told_of: Mapping[str, Any], now: datetime) -> Customer:
    residence = told_of["residence"]
    relation = told_of["relation"]
    return Customer(
        external_id=told_of["id"],
        household=told_of.get("household", 0),
        email=told_of["email"],
        given_name=told_of.get("given_name", ""),
        family_name=told_of["family_name"],
        residence=residence,
        zone=told("names")["zone"].get(residence, ""),
        language=told_of["language"],
        birth_year=now.year - told_of["age"] if "age" in told_of else 0,
        subject=told_of.get("subject", "natural"),
        competent_person_email=told_of.get("competent_person_email", ""),
        interests=tuple(told_of.get("interests", ())),
        relation_kind=relation["kind"],
        relation_days=relation.get("days", 0),
        details_from_sale=relation.get("details_from_sale", False),
        offered=relation.get("objection_offered", False),
        source=told_of["source"],
        acts=tuple(told_of.get("acts", ())),
        suppression=told_of.get("suppression"),
    )


def _customer(household: int, band: str, now: datetime, seed: int) -> Customer:
    draw = Draw(seed, f"household {household}")
    names, share = told("names"), told("mix")["share"]
    home = draw.weigh("residence", names["residence"])
    region = draw.weigh("region", names["region"][home])
    unknown = draw.share("unknown") < share["unknown_residence"]
    profile = draw.weigh("profile", told("mix")["profile"])
    bare = Customer(
        external_id=f"hh-{household:04d}",
        household=household,
        email="",
        residence="" if unknown else home,
        zone="" if unknown else names["zone"][home],
        language=draw.weigh("language", names["language"][region]),
        relation_kind="sale",
        details_from_sale=profile == "soft" or draw.share("details") < share["gave_details"],
        offered=profile == "soft" or _offered(draw, profile),
        source=_source(draw, profile),
        profile=profile,
    )
    if draw.share("juristic") < share["juristic"]:
        return _organisation(bare, draw, home)
    return _person(bare, draw, region, _birth_year(draw, band, now), now)


def _offered(draw: Draw, profile: str) -> bool:
    """Whether an objection was offered: never where nothing but a sale would then be missing."""
    agreed_or_said_no = {"consent", "consent_both", "reaffirmed", "given_again", "late_paper"}
    agreed_or_said_no |= {"withdrawn", "withdrawn_all", "refused", "objected"}
    half: float = told("mix")["share"]["offered"]
    return profile in agreed_or_said_no and draw.share("offered") < half


def _source(draw: Draw, profile: str) -> str:
    sources = told("names")["source"]
    if profile in {"imported", "no_notice", "no_time", "no_method", "no_proof", "unpublished"}:
        return str(sources["list"]["label"])
    if profile in {"late_paper", "paper_overtaken"}:
        return str(sources["paper"]["label"])
    return str(
        sources[draw.weigh("source", {k: v["weight"] for k, v in sources.items()})]["label"]
    )


def _birth_year(draw: Draw, band: str, now: datetime) -> int:
    """Return a year inside the published age band, else a drawn one, or 0 for never told."""
    if band:
        low, _, high = band.rstrip("+").partition("-")
        return now.year - draw.whole("age", int(low), int(high or _ADULT[1]))
    if draw.share("born") < told("mix")["share"]["born"]:
        return now.year - draw.whole("age", *_ADULT)
    return 0


def _person(bare: Customer, draw: Draw, region: str, born: int, now: datetime) -> Customer:
    names, share = told("names"), told("mix")["share"]
    given, family = (draw.pick(part, names[part][region]) for part in ("given", "family"))
    some = draw.share("interests") < share["interests"]
    pool = names["interests"]["all"]
    minor = draw.share("minor") < share["minor"]
    return replace(
        bare,
        email=address(draw, given, family, bare.household),
        given_name=given,
        family_name=family,
        birth_year=now.year - draw.whole("minor age", *_MINOR) if minor else born,
        competent_person_email=(
            address(draw, draw.pick("guardian", names["given"][region]), family, bare.household)
            if minor
            else ""
        ),
        interests=tuple(draw.sample("interest", pool, draw.whole("some", 1, 3))) if some else (),
    )


def _organisation(bare: Customer, draw: Draw, home: str) -> Customer:
    names = told("names")
    name = draw.pick("name", names["organisation_name"]["all"])
    kind = draw.pick("kind", names["organisation"][home])
    email = address(draw, name, kind, bare.household)
    return replace(bare, email=email, family_name=f"{name} {kind}", subject="juristic")


def _share_mailbox(one: Customer, before: Sequence[Customer], seed: int) -> Customer:
    if not before or before[-1].profile == "cast" or one.minor or before[-1].minor:
        return one
    shared = Draw(seed, f"mailbox {one.household}").share("shared")
    if shared >= told("mix")["share"]["shares_mailbox"]:
        return one
    return replace(one, email=before[-1].email)


def address(draw: Draw, given: str, family: str, number: int) -> str:
    """Return `given.family.NNNN` under one of the reserved mail domains.

    >>> address(Draw(7, "x"), "Róisín", "O'Brien", 12).startswith("roisin.obrien.0012@")
    True
    """
    local = ".".join(_plain(part) for part in (given, family))
    return f"{local}.{number:04d}@{draw.pick('domain', told('names')['mail']['domains'])}"


def _plain(name: str) -> str:
    folded = unicodedata.normalize("NFKD", name.lower().translate(_FOLDS))
    return re.sub(r"[^a-z]", "", folded)
