"""Forms filled in: with the company's own facts, on paper, and taken in as a request.

An objection by form binds at once, before its request is opened; a paper that came by post is
known by the hash of its scan.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version as installed
from importlib.resources import files
from typing import Any, Final

from troth.app.workspace import Workspace
from troth.capabilities import preferences, rights, trust
from troth.capabilities.preferences.narrowing import marketing_roots
from troth.capabilities.trust import Gap
from troth.engines import forms
from troth.engines.forms import Form
from troth.errors import InvalidInput, NotFound
from troth.kernel.facts import House
from troth.kernel.house import parse_toml
from troth.terms import Actor, ConsentStatus, Instant, PersonId, PurposeKind, Role

FORMS: Final = ("popia-1", "popia-2", "popia-4", "paia-2")
MAY_ENTER: Final = frozenset({Role.OFFICER, Role.SUPPORT, Role.SYSTEM})
OBJECTION: Final = "objection"
HASH_CHARS: Final = 64


def shipped_data(place: str) -> bytes:
    """Return a data file that came with the program."""
    return (files("troth") / "data" / place).read_bytes()


@cache
def words() -> trust.Words:
    """Return what the data files say of documents."""
    facts = tomllib.loads(shipped_data("documents/facts.toml").decode())
    iris = tomllib.loads(shipped_data("package.toml").decode())["category"]
    fields = tomllib.loads(shipped_data("taxonomy.toml").decode())["fields"]
    authorities = tomllib.loads(shipped_data("authorities.toml").decode())["authority"]
    return trust.Words(facts, iris, fields, authorities, f"troth {installed('troth')}")


@cache
def _shipped(name: str) -> Form:
    if name == "popia-4":
        return forms.read_consent_form(name, shipped_data("form4.toml"), words().facts["channel"])
    if name not in FORMS:
        raise NotFound("there is no such form", f"choose one of {', '.join(FORMS)}")
    return forms.read_form(name, shipped_data(f"forms/{name}.toml"))


def form(opened: Workspace, name: str) -> Form:
    """Return a form with the company's own facts in it, as published.

    Raises:
        NotFound: There is no such form.
    """
    shipped = _shipped(name)
    with opened.store.look() as view:
        held = view.published("house")
        house = opened.desk.house(view) if held else None
    values = parse_toml("troth.toml", held.data) if held else {}
    return forms.named(shipped, _party(values, house))


def _party(values: Mapping[str, Any], house: House | None) -> dict[str, str]:
    party = values.get("house", {})
    brand: Mapping[str, Any] = next(iter(values.get("brands", {}).values()), {})
    name, address = str(party.get("name", "")), str(party.get("address", ""))
    contact, officer = (
        str(party.get("privacy_contact", "")),
        str(party.get("information_officer", "")),
    )
    domain = str(brand.get("domain", ""))
    asked = (p for p in (house.purposes.values() if house else ())
             if p.kind is PurposeKind.CONSENT_REQUEST)  # fmt: skip
    goods = sorted({goods.replace("_", " ") for p in asked for goods in p.goods})
    place = house.seat if house else ""
    authority = next((a for a in words().authorities if a["place"] == place), {})
    return {
        "YOUR COMPANY": name,
        "ADDRESS": address,
        "STREET, TOWN, POSTAL CODE, COUNTRY": address,
        "CONTACT": contact,
        "E-MAIL": contact,
        "STOP ADDRESS": contact,
        "OFFICER": officer,
        "NAME AND OFFICE OF THE DESIGNATED PERSON": officer and f"{officer}, information officer",
        "REGISTRATION NUMBER": str(party.get("registration", "")),
        "TELEPHONE": str(party.get("telephone", "")),
        "WEB PAGE": domain and f"https://{domain}",
        "GOODS OR SERVICES, NAMED": ", ".join(goods),
        "CONTACT OF THE REGULATOR": str(authority.get("url", "")),
    }


def form_paper(opened: Workspace, name: str, given: Mapping[str, str]) -> bytes:
    """Lay a form out as PDF with what was filled in; nothing of it is kept.

    Raises:
        NotFound: There is no such form.
    """
    asked = form(opened, name)
    return trust.print_form(asked, forms.taken(asked, given), opened.settings.title)


def form_gaps(opened: Workspace, name: str) -> list[Gap]:
    """Name the company's own facts that a form still lacks; what is filled by hand is none."""
    left = forms.placeholders(form(opened, name))
    return [Gap(word.lower(), "troth.toml", _KEYS[word]) for word in left if word in _KEYS]


_KEYS: Final = {
    "YOUR COMPANY": "house.name",
    "ADDRESS": "house.address",
    "STREET, TOWN, POSTAL CODE, COUNTRY": "house.address",
    "CONTACT": "house.privacy_contact",
    "E-MAIL": "house.privacy_contact",
    "STOP ADDRESS": "house.privacy_contact",
    "OFFICER": "house.information_officer",
    "NAME AND OFFICE OF THE DESIGNATED PERSON": "house.information_officer",
    "REGISTRATION NUMBER": "house.registration",
    "TELEPHONE": "house.telephone",
    "WEB PAGE": "brands.NAME.domain",
    "CONTACT OF THE REGULATOR": "house.seat",
}


# Requests by form


@dataclass(frozen=True, slots=True)
class Entered:
    """A filled form that came in.

    Attributes:
        name: Which form.
        how: portal, form, letter, shop, mail or phone.
        received: When it came, if not now; 0 now.
        proven: It is proven that this person asks.
        scan: SHA-256 of the scan or file, hex; "" where there is no paper.
        purpose: For an objection: which purpose; "" all direct marketing.
        given_by: Who says it, as consents name them.
    """

    name: str
    answers: Mapping[str, str]
    how: str = "form"
    received: int = 0
    proven: bool = False
    scan: str = ""
    purpose: str = ""
    given_by: str = "self"


@dataclass(frozen=True, slots=True)
class Opened:
    """What became of a filled form.

    Attributes:
        due: The last instant by which it is answered.
        objected: Purposes against which the objection was recorded at once.
    """

    request: str
    right: str
    due: Instant
    objected: tuple[str, ...]


def enter(opened: Workspace, person: PersonId, entered: Entered, actor: Actor) -> Opened:
    """Take a filled form in: an objection binds at once, and the request is opened.

    Raises:
        InvalidInput: The form asks for nothing that opens a request, this role may not, or a paper
            form comes without the hash of its scan. Nothing was recorded.
        NotFound: Nothing is held under this id.
        Unavailable: The person asked too often today; an objection was recorded all the same.
        Shredded: The person was erased.
    """
    asked = _shipped(entered.name)
    right = asked.asks(entered.answers)
    if right == "consent":
        raise InvalidInput(
            "a consent opens no request", "record it: troth consent grant, with the scan as proof"
        )
    if actor.role is not Role.PERSON and actor.role not in MAY_ENTER:
        raise InvalidInput("this role takes no forms in", "ask the privacy officer")
    if actor.role is not Role.PERSON and not _is_hash(entered.scan):
        raise InvalidInput("the scan of the paper is missing", "add the file, or its SHA-256")
    with opened.store.look() as view:
        if entered.received > view.now:
            raise InvalidInput("a form cannot come in later than now", "give the day it came")
    objected = _object(opened, person, entered, actor) if right == OBJECTION else ()
    return _open_request(opened, person, right, entered, actor, objected)


def substance(asked: Form) -> list[forms.Field]:
    """Return what a form asks besides who asks: what staff type from a paper that came in."""
    return [each for each in asked.fields if each.name not in _IDENTITY]


def _is_hash(text: str) -> bool:
    return len(text) == HASH_CHARS and set(text) <= set("0123456789abcdef")


def _object(
    opened: Workspace, person: PersonId, entered: Entered, actor: Actor
) -> tuple[str, ...]:
    """Record an objection against a purpose, or against each root of direct marketing.

    It is dated now, not on the day it came: so it stands above whatever was agreed to before now.
    """
    if not entered.purpose and entered.answers.get("about") == "other":
        return ()
    with opened.store.look() as view:
        roots = marketing_roots(opened.desk.house(view))
    against = (entered.purpose,) if entered.purpose else roots
    for purpose in against:
        choice = preferences.Choice(
            ConsentStatus.OBJECTED,
            purpose,
            ("*",),
            method="paper" if entered.scan else "form",
            proof=f"sha256:{entered.scan}" if entered.scan else "",
            given_by=entered.given_by,
            source=f"form:{entered.name}",
        )
        preferences.record_choice(opened.desk, person, choice, actor)
    return against


def _open_request(  # noqa: PLR0913 - what came in and what was done about it
    opened: Workspace,
    person: PersonId,
    right: str,
    entered: Entered,
    actor: Actor,
    objected: tuple[str, ...],
) -> Opened:
    """Open the request; the one place where forms meet `rights.open_request`."""
    asked = _shipped(entered.name)
    kept = {each.name for each in substance(asked)}
    told = forms.told(asked, {k: v for k, v in entered.answers.items() if k in kept})
    text = "\n".join(f"{label}: {said}" for label, said in told)
    paper = f"\nScan: sha256:{entered.scan}" if entered.scan else ""
    said = rights.Asked(
        right=right,
        how=entered.how,
        text=text[: forms.TEXT_MAX - len(paper)] + paper,
        received=Instant(entered.received),
        proven=entered.proven,
        given_by=entered.given_by,
        key=f"{entered.name}:{entered.scan}" if entered.scan else "",
    )
    made = rights.open_request(opened.desk, person, said, actor)
    return Opened(made.id, right, made.due, objected)


_IDENTITY: Final = frozenset(
    {
        *("name", "number", "address", "phone", "email", "postal", "street", "place", "date"),
        *("signature", "other_name"),
    }
)
"""Fields that say who asks: the record knows that already, and keeps it sealed."""
