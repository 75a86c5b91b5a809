"""What a message must carry, checked on the finished message: the gate's obligations made true.

An obligation nobody can check on the message itself is either a property of the domain (checked
elsewhere) or unknown; an unknown one is never taken as met.
"""

import re
from collections.abc import Callable, Collection, Sequence
from email import message_from_bytes, policy
from email.message import EmailMessage
from types import MappingProxyType
from typing import Final

ONE_CLICK = "List-Unsubscribe=One-Click"
STOP_LINK_DAYS: Final = 365
"""For how many days a stop link works at least; whoever makes links keeps them longer."""
_WORKS = re.compile(r"opt_out_works_([0-9]+)_days")
_REACHED = re.compile(r"contact_valid_[0-9]+_days")
_MAILBOX = re.compile(r"[\w.+-]+@([\w.-]+\w)")
_LINK = re.compile(r"https://([\w.-]+\w)")
_PHONE = re.compile(r"\+[0-9][0-9 ()-]{6,}[0-9]")
_ADVERT = re.compile(
    r"\b(advert|promotion|offers?\b|reklame|werbung|publicit|reclame)", re.IGNORECASE
)
"""Words by which a message says that it advertises, in the languages messages are written in."""
_FEIGNED = re.compile(r"\s*(re|fwd?|aw|wg)\s*:", re.IGNORECASE)
"""How the subject of an answer begins: on a first message it deceives."""
_TICKED = re.compile(r"<input\b[^>]*\schecked\b", re.IGNORECASE)
_IMAGE = re.compile(r"<img\b|background(-image)?\s*[:=]\s*['\"]?url", re.IGNORECASE)

OF_THE_DOMAIN: Final = frozenset(
    {"dmarc_published", "spf_passes", "address_confirmed", "source_of_address_on_request"}
)
"""Obligations that lie in DNS, in how the address was collected or in an answer, not in a mail."""

Check = Callable[[EmailMessage, str, str], bool]
"""`(message, its texts, postal address) -> bool`."""


def _stop_link(mail: EmailMessage, texts: str, _postal: str) -> bool:
    link = str(mail["List-Unsubscribe"] or "").strip("<> \t")
    return bool(link) and texts.count(link) >= 2  # noqa: PLR2004 - in the HTML and in its twin


def _signed(mail: EmailMessage, name: str) -> bool:
    listed = [
        {word.strip().lower() for word in found[1].split(":")}
        for value in mail.get_all("DKIM-Signature", [])
        if (found := re.search(r"\bh=([^;]+)", re.sub(r"\s+", "", str(value))))
    ]
    return bool(listed) and all(name in names for names in listed)


def _aligned(mail: EmailMessage, _texts: str, _postal: str) -> bool:
    sender = str(mail["From"] or "").rpartition("@")[2].rstrip("> ").lower()
    domains = re.findall(r"\bd=([^;\s]+)", " ".join(map(str, mail.get_all("DKIM-Signature", []))))
    return bool(domains) and all(domain.lower() == sender for domain in domains)


def _domain(mail: EmailMessage) -> str:
    return str(mail["From"] or "").rpartition("@")[2].rstrip("> ").lower()


def _own(found: str, domain: str) -> bool:
    return found.lower() == domain or found.lower().endswith(f".{domain}")


def _name(mail: EmailMessage, texts: str, _postal: str) -> bool:
    """The name in the From line stands in the message too."""
    name = str(mail["From"] or "").rpartition("<")[0].strip(' "')
    return bool(name) and name.lower() in texts.lower()


def _contact(_mail: EmailMessage, texts: str, _postal: str) -> bool:
    """A mailbox, web page or telephone number to reach the sender by."""
    return any(each.search(texts) for each in (_MAILBOX, _LINK, _PHONE))


def _own_contact(mail: EmailMessage, texts: str, _postal: str) -> bool:
    """A mailbox or page under the sender's own domain: it works as long as the house does."""
    found = [*_MAILBOX.findall(texts), *_LINK.findall(texts)]
    return any(_own(each, _domain(mail)) for each in found)


def _honest_header(mail: EmailMessage, _texts: str, _postal: str) -> bool:
    """One sender whose domain signed, and a subject that feigns no answer."""
    subject = str(mail["Subject"] or "")
    return bool(subject.strip()) and not _FEIGNED.match(subject) and _aligned(mail, "", "")


def _one_step(mail: EmailMessage, texts: str, postal: str) -> bool:
    """One click by the mail program, and the same one page in the text."""
    return mail["List-Unsubscribe-Post"] == ONE_CLICK and _stop_link(mail, texts, postal)


CHECKS: Final = MappingProxyType[str, Check](
    {
        "free_objection": _stop_link,
        "stop_contact": _stop_link,
        "opt_out": _stop_link,
        "sender_identity": lambda _m, texts, postal: bool(postal) and postal in texts,
        "no_open_pixel": lambda _m, texts, _p: not _IMAGE.search(texts),
        "list_unsubscribe_https": lambda m, _t, _p: str(m["List-Unsubscribe"] or "").startswith(
            "<https://"
        ),
        "list_unsubscribe_post": lambda m, _t, _p: m["List-Unsubscribe-Post"] == ONE_CLICK,
        "unsubscribe_headers_signed": lambda m, _t, _p: (
            _signed(m, "list-unsubscribe") and _signed(m, "list-unsubscribe-post")
        ),
        "dkim_aligned": _aligned,
        "postal_address": lambda _m, texts, postal: bool(postal) and postal in texts,
        "sender_address": lambda _m, texts, postal: bool(postal) and postal in texts,
        "sender_name": _name,
        "on_behalf_name": _name,
        "sender_contact": _contact,
        "header_not_deceptive": _honest_header,
        "marked_as_advertising": lambda _m, texts, _p: bool(_ADVERT.search(texts)),
        "opt_out_in_one_step": _one_step,
        "no_box_ticked": lambda _m, texts, _p: not _TICKED.search(texts),
    }
)


def _met(name: str, mail: EmailMessage, texts: str, postal: str, stop_days: int) -> bool:
    """Tell whether an obligation is met; a number of days stands in its name."""
    if works := _WORKS.fullmatch(name):
        return _stop_link(mail, texts, postal) and stop_days >= int(works[1])
    if _REACHED.fullmatch(name):
        return _own_contact(mail, texts, postal)
    return name in CHECKS and CHECKS[name](mail, texts, postal)


def unmet(
    raw: bytes, obligations: Collection[str], postal: str, stop_days: int = STOP_LINK_DAYS
) -> Sequence[str]:
    """Name the obligations a finished message does not meet; about 1 ms.

    Args:
        raw: The signed message.
        obligations: From the permit.
        postal: The sender's postal address as the message must show it.
        stop_days: For how many days its stop link works.
    """
    wanted = sorted(set(obligations) - OF_THE_DOMAIN)
    if not wanted:
        return ()
    mail = message_from_bytes(raw, policy=policy.default)
    texts = "\n".join(
        part.get_content() for part in mail.walk() if part.get_content_maintype() == "text"
    )
    return tuple(name for name in wanted if not _met(name, mail, texts, postal, stop_days))
