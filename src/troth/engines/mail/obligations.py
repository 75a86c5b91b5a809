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
    }
)


def unmet(raw: bytes, obligations: Collection[str], postal: str) -> Sequence[str]:
    """Name the obligations a finished message does not meet; about 1 ms.

    Args:
        raw: The signed message.
        obligations: From the permit.
        postal: The sender's postal address as the message must show it.
    """
    wanted = sorted(set(obligations) - OF_THE_DOMAIN)
    if not wanted:
        return ()
    mail = message_from_bytes(raw, policy=policy.default)
    texts = "\n".join(
        part.get_content() for part in mail.walk() if part.get_content_maintype() == "text"
    )
    return tuple(
        name for name in wanted if name not in CHECKS or not CHECKS[name](mail, texts, postal)
    )
