"""Short texts for SMS, WhatsApp, push, calls and letters: typed slots in plain words.

A text is data, as mail templates are: a body per channel, slots with category and fallback, and no
expressions. What a channel must carry by law (who writes, how to stop) is checked on the finished
text. GSM 7-bit lengths: 3GPP TS 23.038.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
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
    """A text as published; `bodies` by channel."""

    name: str
    bodies: Mapping[Channel, str]
    slots: Mapping[str, Slot]

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
    return Text(name, bodies, slots)


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


def lacking(filled: str, channel: Channel, sender: str, stop_words: frozenset[str]) -> list[str]:
    """Name what a filled marketing text must carry and does not: sender and a way to stop.

    On a call both are spoken: the script must hold them too.
    """
    folded = filled.casefold()
    out = []
    if sender.casefold() not in folded:
        out.append("sender_identity")
    if not any(word in folded for word in stop_words):
        out.append("stop_instruction")
    if channel is Channel.SMS and sms_parts(filled) > 3:  # noqa: PLR2004 - as LIMITS says
        out.append("three_parts_at_most")
    return out
