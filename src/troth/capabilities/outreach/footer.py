"""The foot of every message: why it comes, what of a person was used, in words that are true.

Also what the one request for consent must say of the house (POPIA Form 4): the words a finished
request is searched for. Everything here is read from the decision itself and from what the house
published, never from a template's own claim.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from zoneinfo import ZoneInfo

from troth.capabilities.outreach.model import Campaign, Judged, Value
from troth.engines import mail
from troth.errors import InvalidInput
from troth.kernel import consent, proof
from troth.kernel.house import parse_toml
from troth.ports import Anchor, View
from troth.terms import Instant, Purpose, PurposeKind, Refusal, moment

USED = {
    "identity.name": "your first name",
    "interests.declared": "the interests you told us",
    "purchases.13w": "what you bought in the last 13 weeks",
    "purchases.52w": "what you bought in the last year",
    "cohort.compare": "what people with baskets like yours buy",
}
"""Category → how the reader calls it, least personal first."""
SHOWN_BY = {
    "identity.name": "first_name",
    "interests.declared": "interest_line",
    "purchases.13w": "favourites",
    "purchases.52w": "year_line",
    "cohort.compare": "alike_line",
}
"""Category → the slot or repeat that shows it."""
_EXCEPTION = "You bought from us. You could object to messages like this then, and can now."
_IMPLIED = "You bought from us or asked us something not long ago, and did not say stop."
_ASKED = "We may ask you once whether messages are welcome. This is that one time."
_SERVICE = "This is about something you ordered or asked for. It is not marketing."
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def shown_by(campaign: Campaign, agreed: frozenset[str]) -> frozenset[str]:
    """Return of the categories agreed those this campaign's template can show: no other is asked.

    A template that does not read leaves them as they are; it is refused where it is written from.
    """
    can = _can_show(campaign.template.data)
    return agreed if can is None else agreed & can


@lru_cache(maxsize=64)
def _can_show(template: bytes) -> frozenset[str] | None:
    try:
        return mail.parse_template(template.decode()).categories
    except (InvalidInput, UnicodeDecodeError):
        return None


def why(judged: Judged) -> str:
    """Say why this person gets this message: the ground the gate found, with its date.

    >>> since(Instant(1_700_000_000_000_000), "Africa/Johannesburg")
    '15 November 2023'
    """
    answer = judged.answer
    if isinstance(answer, Refusal):
        return ""
    house = judged.facts.house
    purpose = house.purposes[answer.purpose]
    if answer.basis == "consent":
        given = _given(judged, purpose)
        return because("consent", purpose.title, since(given, house.zone) if given else "")
    return because(answer.basis, purpose.title)


def because(basis: str, title: str, day: str = "") -> str:
    """Say a ground in words: consent (with its day), an exception, the one question, or service.

    >>> because("consent", "Offers for your household", "3 March 2026")
    'You said yes to “Offers for your household” on 3 March 2026.'
    """
    if basis == "consent":
        return f"You said yes to “{title}”{f' on {day}' if day else ''}."
    said = {"customer_exception": _EXCEPTION, "implied_consent": _IMPLIED, "ask_once": _ASKED}
    return said.get(basis, _SERVICE)


@lru_cache(maxsize=4_096)
def since(at: Instant, zone: str) -> str:
    """Write the day of an instant as its reader would; an import's consents share few."""
    local = moment(at).astimezone(_zone(zone))
    return f"{local.day} {_MONTHS[local.month - 1]} {local.year}"


@lru_cache(maxsize=16)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _given(judged: Judged, purpose: Purpose) -> Instant | None:
    """Return when the consent on which the permit rests was given."""
    place = consent.key(purpose.name, judged.request.channel or "")
    standing = judged.gathered.record.standings.get(place)
    return standing.grant.at if standing is not None and standing.grant is not None else None


def used(categories: Sequence[str], values: Mapping[str, Value]) -> str:
    """Say what of a person a message shows; "" where it shows nothing, and the fallback speaks.

    Args:
        categories: Permitted, and of this template.
        values: What the message is filled with.

    >>> used(["identity.name"], {"first_name": "Thandi"})
    'We used your first name; nothing else.'
    """
    shown = [
        words for name, words in USED.items() if name in categories and values.get(SHOWN_BY[name])
    ]
    return f"We used {listed(shown)}; nothing else." if shown else ""


def anchor_line(held: Anchor, base_url: str) -> mail.Anchored:
    """Return the ledger's head as the last line of a wave's messages shows it."""
    return mail.Anchored(held.origin, held.size, proof.b64(held.root), f"{base_url}/anchors")


def listed(words: Sequence[str]) -> str:
    """Join words as one says them.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def told(
    view: View, judged: Judged, carries: Sequence[tuple[str, str]], ask_link: str, address: str
) -> Mapping[str, Sequence[str]]:
    """Return the words a finished message must hold, by obligation.

    What a template says carries an obligation is searched for as it says; who asks, where they
    are, who answers for it and which goods it is about are taken from the house as published.

    Args:
        view: The look the message was written at.
        judged: The decision.
        carries: From the template.
        ask_link: Where the person answers; "" where nothing is asked.
        address: The address the request goes to, which names whom it is for.
    """
    found: dict[str, Sequence[str]] = {name: (words,) for name, words in carries}
    house = view.published("house")
    party = parse_toml("troth.toml", house.data).get("house", {}) if house else {}
    purposes = judged.facts.house.purposes
    purpose = purposes.get(judged.request.purpose)
    said: dict[str, tuple[str, ...]] = {
        "sender_name": (party.get("name", ""),),
        "on_behalf_name": (party.get("name", ""),),
        "sender_contact": (party.get("privacy_contact", ""),),
    }
    if purpose is not None and purpose.kind is PurposeKind.CONSENT_REQUEST:
        wanted = purposes.get(purpose.parent, purpose)
        said |= {
            "sender_address": (party.get("address", ""),),
            "designated_person": (party.get("information_officer", ""),),
            "goods_named": tuple(goods.replace("_", " ") for goods in sorted(wanted.goods)),
            "person_name": (address,),
            "each_channel_ticked": (ask_link,),
        }
    return found | {name: words if all(words) else () for name, words in said.items()}
