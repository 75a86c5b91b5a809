"""Short texts for SMS, WhatsApp, push, calls and letters: typed slots in plain words.

A text is data, as mail templates are: a body per channel, slots with category and fallback, and no
expressions. What a channel must carry by law (who writes, how to stop) is checked on the finished
text. GSM 7-bit lengths: 3GPP TS 23.038.
"""

import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from troth.errors import InvalidInput
from troth.terms import Channel, nfc

CHANNELS: Final = frozenset(Channel) - {Channel.EMAIL}
_SLOT = re.compile(r"\{\{([a-z][a-z0-9_]{0,39})\}\}")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_TWO = frozenset("^{}\\[~]|€\f")
LIMITS: Final[Mapping[Channel, int]] = {
    Channel.SMS: 459,
    Channel.WHATSAPP: 1_024,
    Channel.PUSH: 240,
    Channel.CALL: 4_000,
    Channel.POST: 8_000,
}
"""Most characters of a filled text, per channel; an SMS of three parts."""
SMS_PARTS: Final = 3


@dataclass(frozen=True, slots=True)
class Slot:
    """A place to be filled.

    Attributes:
        category: Data category it needs; "" needs none.
        fallback: Stands there when the category is not agreed to or nothing is known.
    """

    category: str
    fallback: str
    max_chars: int


@dataclass(frozen=True, slots=True)
class Text:
    """A text as published.

    Attributes:
        bodies: By channel.
        carries: Obligation → the words of the text that meet it, where no check here knows it.
    """

    name: str
    bodies: Mapping[Channel, str]
    slots: Mapping[str, Slot]
    carries: Mapping[str, str] = field(default_factory=dict)

    @property
    def categories(self) -> frozenset[str]:
        """Every data category it can show."""
        return frozenset(slot.category for slot in self.slots.values() if slot.category)


def parse_text(raw: str) -> Text:
    """Read a text's TOML.

    Raises:
        InvalidInput: It does not read, names no channel, or a slot is unknown or has no fallback;
            says which.
    """
    try:
        values = tomllib.loads(raw)
        name = str(values["name"])
        slots = {key: _slot(key, row) for key, row in values.get("slots", {}).items()}
        bodies = {Channel(key): nfc(str(body)).strip() for key, body in values["bodies"].items()}
        carries = {str(key): nfc(str(said)) for key, said in values.get("carries", {}).items()}
    except (tomllib.TOMLDecodeError, KeyError, ValueError, TypeError, AttributeError):
        raise InvalidInput(
            "a text does not read", "it needs name, [bodies] by channel and [slots.NAME]"
        ) from None
    if not _NAME.fullmatch(name):
        raise InvalidInput("a text's name is none", "use small letters, digits, - and _")
    if not bodies or not bodies.keys() <= CHANNELS:
        raise InvalidInput(
            f"the text {name} has no body for a channel of its own",
            f"write bodies for {', '.join(sorted(CHANNELS))}; e-mail has templates",
        )
    for channel, body in bodies.items():
        _require_body(name, channel, body, slots)
    return Text(name, bodies, slots, carries)


def _slot(key: str, row: Mapping[str, Any]) -> Slot:
    if "fallback" not in row:
        raise InvalidInput(f"the slot {key} has no fallback", "write what stands there otherwise")
    return Slot(str(row.get("category", "")), str(row["fallback"]), int(row.get("max_chars", 60)))


def _require_body(name: str, channel: Channel, body: str, slots: Mapping[str, Slot]) -> None:
    unknown = sorted(set(_SLOT.findall(body)) - slots.keys())
    if unknown:
        raise InvalidInput(f"the text {name} uses {unknown[0]}, which is no slot of it")
    if "{{" in _SLOT.sub("", body) or _CONTROL.search(body):
        raise InvalidInput(f"the text {name} for {channel} holds signs that are no text")
    if not body or len(body) > LIMITS[channel]:
        raise InvalidInput(
            f"the text {name} for {channel} is empty or longer than {LIMITS[channel]} characters"
        )


def fill(text: Text, channel: Channel, values: Mapping[str, str]) -> str:
    """Write the text for one person; a slot without a value shows its fallback.

    A value is cut to its slot's length and loses control signs and line ends: it cannot add a
    line, a link's beginning or another slot.

    Raises:
        InvalidInput: The text has no body for this channel, or is too long once filled.
    """
    body = text.bodies.get(channel)
    if body is None:
        raise InvalidInput(f"the text {text.name} has no body for {channel}", "write one")

    def shown(found: re.Match[str]) -> str:
        slot = text.slots[found[1]]
        value = values.get(found[1], "") or slot.fallback
        return " ".join(_CONTROL.sub(" ", nfc(value)).split())[: slot.max_chars]

    filled = _SLOT.sub(shown, body)
    if len(filled) > LIMITS[channel]:
        raise InvalidInput(f"a filled text is longer than {LIMITS[channel]} characters")
    if channel is Channel.SMS and sms_parts(filled) > SMS_PARTS:
        raise InvalidInput(f"a filled text takes more than {SMS_PARTS} SMS", "write less")
    return filled


def sms_parts(text: str) -> int:
    """Return how many SMS a text takes: 160 signs of the GSM alphabet, 70 of any other.

    >>> sms_parts("a" * 160), sms_parts("a" * 161), sms_parts("中" * 71)
    (1, 2, 2)
    """
    gsm = all(sign in _GSM or sign in _GSM_TWO for sign in text)
    length = (
        sum(1 + (sign in _GSM_TWO) for sign in text) if gsm else len(text.encode("utf-16-be")) // 2
    )
    single, joined = (160, 153) if gsm else (70, 67)
    return 1 if length <= single else -(-length // joined)


@dataclass(frozen=True, slots=True)
class Sender:
    """Who writes, as a text must say it.

    Attributes:
        postal: Postal address; stop_words: words of which one must tell how to stop, lower case.
    """

    name: str
    postal: str
    stop_words: Collection[str]


_NAMED = frozenset({"sender_identity", "sender_name", "on_behalf_name"})
_STOPS = frozenset({"stop_contact", "free_objection", "opt_out", "opt_out_in_one_step"})
_POSTAL = frozenset({"postal_address", "sender_address"})
_REACHED = re.compile(r"sender_contact|contact_valid_[0-9]+_days")
_WORKS = re.compile(r"opt_out_works_[0-9]+_days")
_CONTACT = re.compile(r"[\w.+-]+@[\w-]+\.\w|https://\w|\+?[0-9][0-9 ()-]{6,}[0-9]")
ELSEWHERE: Final = frozenset({"source_of_address_on_request", "no_open_pixel", "no_box_ticked"})
"""Obligations met in an answer on request, or that no plain text can break."""
ALWAYS: Final = frozenset({"sender_identity", "stop_contact"})
"""What every marketing text carries, whatever the law of the place asks."""


def lacking(text: Text, filled: str, obligations: Collection[str], sender: Sender) -> list[str]:
    """Name what a filled marketing text must carry and does not; an unknown obligation is lacking.

    On a call sender and way out are spoken: the script must hold them too.
    """
    wanted = sorted({*obligations, *ALWAYS} - ELSEWHERE)
    return [name for name in wanted if not _met(name, text, filled, sender)]


def _met(name: str, text: Text, filled: str, sender: Sender) -> bool:
    if name in _NAMED:
        return bool(sender.name) and sender.name.casefold() in filled.casefold()
    if name in _STOPS or _WORKS.fullmatch(name):
        return tells_how_to_stop(filled, sender.stop_words)
    if name in _POSTAL:
        return bool(sender.postal) and sender.postal in filled
    if _REACHED.fullmatch(name):
        return bool(_CONTACT.search(filled))
    said = text.carries.get(name, "")
    return bool(said) and said in filled


def tells_how_to_stop(filled: str, stop_words: Collection[str]) -> bool:
    """Tell whether one of these words stands in a text as a word of its own.

    >>> tells_how_to_stop("Reply STOP", ["stop"]), tells_how_to_stop("a stopwatch", ["stop"])
    (True, False)
    """
    folded = " ".join(filled.casefold().split())
    return any(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", folded) for word in stop_words)
