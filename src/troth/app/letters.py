"""Letters of service: what they are written with, and handing them over."""

import html
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from string import Template as Words
from typing import Any

from troth.app.channels import transport_of
from troth.app.sending import hand_over, real_seconds, signers
from troth.app.starters import brand_colours
from troth.app.workspace import Workspace
from troth.capabilities import outreach
from troth.capabilities.outreach.service import CHANNELS
from troth.engines import mail
from troth.errors import InvalidInput, Unavailable
from troth.kernel.desk import SYSTEM
from troth.kernel.house import parse_toml
from troth.ports import MailTransport
from troth.terms import Actor, Channel, PersonId, Refusal

_pressed: dict[tuple[bytes, int], outreach.Press] = {}


@cache
def _said() -> Mapping[str, Any]:
    return tomllib.loads((files("troth") / "data/letters.toml").read_text("utf-8"))


def press(opened: Workspace) -> outreach.Press:
    """Return what letters are written with: the brand's colours and words, as published."""
    with opened.store.look() as view:
        key = (opened.desk.workspace, view.house_version)
        found = view.published("house")
    kept = _pressed.get(key)
    if kept is None:
        house = tomllib.loads(found.data.decode()) if found else {}
        said = _said()
        words = _words(opened, house)
        frames = {
            language: mail.Frames(mail.parse_template(_filled(said["template"], words | own)))
            for language, own in _around(said, words).items()
        }
        _pressed.clear()
        kept = _pressed[key] = outreach.Press(
            opened.sender(),
            frames,
            signers(opened),
            frozenset(said["kinds"]),
            said["paragraphs"],
            real_seconds,
        )
    return kept


def _words(opened: Workspace, house: Mapping[str, Any]) -> dict[str, str]:
    """Return what the letter's placeholders stand for."""
    s, party = opened.settings, house.get("house", {})
    brand = house.get("brands", {}).get(s.brand, {})
    try:
        colours = brand_colours(brand.get("colours", {}))
    except InvalidInput:  # a letter somebody waits for goes out in quiet colours rather than not
        colours = brand_colours({})
    return colours | {
        "brand": s.title,
        "party": party.get("name", s.title),
        "postal": s.postal,
        "contact": party.get("privacy_contact", s.from_address),
        "host": s.domain,
        "my": s.base_url,
        "my_host": s.base_url.removeprefix("https://").partition("/")[0],
    }


def in_language(opened: Workspace, language: str, text: str) -> str:
    """Return words of the house's own, such as a purpose's title, as it published them."""
    with opened.store.look() as view:
        found = view.published(f"words:{language}")
    own = parse_toml(f"words/{language}.toml", found.data) if found else {}
    return str(own.get(text) or text)


def _around(said: Mapping[str, Any], words: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return what stands around the words of a letter, by language."""
    return {
        language: {"language": language}
        | {name: Words(text).safe_substitute(words) for name, text in own.items()}
        for language, own in said["words"].items()
    }


def _filled(said: Mapping[str, Any], words: Mapping[str, str]) -> dict[str, Any]:
    escaped = {key: html.escape(value, quote=False) for key, value in words.items()}

    def fill(key: str, value: object) -> Any:  # noqa: ANN401 - TOML holds anything
        if isinstance(value, str):
            return Words(value).safe_substitute(escaped if key == "mjml" else words)
        if isinstance(value, list):
            return list(dict.fromkeys(fill(key, each) for each in value))
        return _filled(value, words) if isinstance(value, dict) else value

    return {key: fill(key, value) for key, value in said.items()}


def write_letter(  # noqa: PLR0913 - see `outreach.book_letter`
    opened: Workspace,
    person: PersonId,
    letter: outreach.Letter,
    actor: Actor = SYSTEM,
    channel: Channel = Channel.EMAIL,
    beside: Sequence[tuple[str, bytes, bytes]] = (),
) -> str | Refusal:
    """Book one letter of service; return its ref, or why none may be written.

    It leaves with the worker's next round, or the one that `deliver_letters` makes. Raises what
    `outreach.book_letter` raises.
    """
    return outreach.book_letter(opened.desk, press(opened), person, letter, actor, channel, beside)


def letters_waiting(opened: Workspace, channel: Channel) -> bool:
    """Tell whether letters of a channel wait to be handed over."""
    with opened.store.look() as view:
        name = outreach.job_kind(_post(opened, channel).name)
        return bool(view.jobs(name, "ready") or view.jobs(name, "leased"))


def _post(opened: Workspace, channel: Channel) -> outreach.Campaign:
    with opened.store.look() as view:
        return outreach.post(opened.desk.house(view), opened.sender(), channel)


def has_sms(opened: Workspace) -> bool:
    """Tell whether the house can send an SMS by itself: a provider is named for it."""
    return bool(opened.settings.channels.get(Channel.SMS, {}).get("provider"))


def deliver_letters(
    opened: Workspace, relay: tuple[str, int] | None = None, actor: Actor = SYSTEM
) -> int:
    """Hand letters over that wait, each channel by its own way; return how many left.

    Raises:
        Unavailable: Relay or provider cannot be reached; what is booked waits.
    """
    left, trouble = 0, None
    for channel in CHANNELS:
        if channel is Channel.SMS and not has_sms(opened):
            continue
        if not letters_waiting(opened, channel):
            continue
        try:
            transport = _transport(opened, channel, relay)
            kind = outreach.LetterCourier
            done = hand_over(opened, _post(opened, channel), actor, transport, kind=kind)
            left += done.handed
        except Unavailable as fault:  # one way being down keeps nobody from the other
            trouble = fault
    if trouble is not None:
        raise trouble
    return left


def _transport(
    opened: Workspace, channel: Channel, relay: tuple[str, int] | None
) -> MailTransport:
    if channel is Channel.SMS:
        return transport_of(opened, channel, None)
    from troth.adapters.smtp import SmtpTransport

    s = opened.settings
    host, port = relay or (s.relay_host, s.relay_port)
    return SmtpTransport(host, port, s.relay_security)
