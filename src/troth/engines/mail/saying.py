"""What a message must say, searched for word by word where no rule can read a meaning.

That a text tells why refusing has no consequences is for its author and for counsel to judge. What
is checked here is that the words they named for it stand in the finished message, in the HTML and
in its plain twin; and that the house's own facts (who asks, where, who answers for it) do.
"""

import html
import re
from collections.abc import Collection, Mapping, Sequence
from email import message_from_bytes, policy
from typing import Final

from troth.engines.mail.obligations import unmet

SAYABLE: Final = re.compile(
    r"notice_[a-z_]+|withdrawal_[a-z_]+|consent_[a-z_]+|person_name|designated_person"
    r"|goods_named|each_channel_ticked|signature_and_date"
)
"""Obligations that words carry; every other one is read off the message itself."""
_UNSEEN = re.compile(r"<(style|title)\b.*?</\1>|<!--.*?-->", re.DOTALL)
_HREF = re.compile(r"<a\b[^>]*?href=\"([^\"]*)\"[^>]*>")
_TAG = re.compile(r"<[a-zA-Z/!][^>]*>")


def lacking(
    raw: bytes, obligations: Collection[str], postal: str, told: Mapping[str, Sequence[str]]
) -> Sequence[str]:
    """Name the obligations a finished message does not meet; about 1 ms.

    Args:
        raw: The signed message.
        obligations: From the permit.
        postal: The sender's postal address as the message must show it.
        told: Obligation → words that must all stand in every text part.
    """
    said = {name for name in obligations if SAYABLE.fullmatch(name) and any(told.get(name, ()))}
    open_ones = unmet(raw, set(obligations) - said, postal)
    parts = _parts(raw) if said else []
    missing = {
        name
        for name in said
        if not parts or not all(_plain(words) in part for words in told[name] for part in parts)
    }
    return tuple(sorted({*open_ones, *missing}))


def _parts(raw: bytes) -> list[str]:
    mail = message_from_bytes(raw, policy=policy.default)
    parts = [part for part in mail.walk() if part.get_content_maintype() == "text"]
    return [said(str(part.get_content())) for part in parts]


def said(part: str) -> str:
    """Return what a part says to its reader: words and the targets of links, no markup.

    >>> said('<p>Hi  <a href="https://x.example/?a&amp;b">there</a></p>')
    'Hi https://x.example/?a&b there'
    """
    shown = _HREF.sub(r" \1 ", _UNSEEN.sub(" ", part))
    return _plain(html.unescape(_TAG.sub("", shown)))


def _plain(words: str) -> str:
    return " ".join(words.split())
