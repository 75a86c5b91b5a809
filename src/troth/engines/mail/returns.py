"""What comes back: delivery failures, complaints, and answers that mean stop.

Reads a mail that arrived at the sender's address. Nothing in it is believed about who a person is:
what it names is our own random reference or stop token, and whoever knows those got our message.
Delivery status: RFC 3464, codes RFC 3463. Complaints: RFC 5965. Automatic answers: RFC 3834.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage, Message
from email.parser import BytesParser
from typing import Any, Final, Literal

from troth.errors import InvalidInput
from troth.terms import nfc

MAX_BYTES: Final = 10 * 2**20
MAX_HEADERS: Final = 256 * 1024
MAX_PARTS: Final = 200
MAX_TEXT: Final = 20_000
Kind = Literal["bounce", "complaint", "reply", "absent", "other"]
_STATUS = re.compile(r"\b([245])\.(\d{1,3})\.(\d{1,3})\b")
_TOKEN = re.compile(r"/stop/([0-9A-Za-z_-]{16,64})")
_MESSAGE_ID = re.compile(r"<([^<>\s]{1,250})>")
_QUOTE_BEGINS = re.compile(
    r"^(>|\s*-{2,}\s*(original|oorspronklike|ursprüngliche)\b|on .{5,120} wrote:|"
    r"op .{5,120} (het|schreef).{0,80}:?$|am .{5,120} schrieb|le .{5,120} a écrit|"
    r"_{10,}|from: |van: )",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_BULK = frozenset({"auto_reply", "auto-reply", "bulk", "junk", "list"})
_AUTOMATIC = ("x-autoreply", "x-autorespond", "x-auto-reply", "x-autorespond-id")


@dataclass(frozen=True, slots=True)
class ReplyWords:
    """Phrases by meaning, as the data file holds them, folded for comparing."""

    alone: frozenset[str]
    stop: frozenset[str]
    plainly: frozenset[str]
    contrary: frozenset[str]
    absent: frozenset[str]
    alone_words: int
    short_words: int


@dataclass(frozen=True, slots=True)
class Returned:
    """What a mail that came back says.

    Attributes:
        message_ids: Our messages it names, newest first, without brackets.
        tokens: Stop tokens found in it: they name person, purpose and channel.
        hard: The address will never work; only of a bounce.
        status: The enhanced status code, such as 5.1.1, or "".
        stop: An answer that means: write to me no more.
    """

    kind: Kind
    message_ids: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    hard: bool = False
    status: str = ""
    stop: bool = False


def read_words(values: Mapping[str, Any]) -> ReplyWords:
    """Read the phrases of a data file.

    Raises:
        InvalidInput: A table is missing or holds something else than texts.
    """
    try:
        alone, stop = (
            frozenset(_folded(p) for phrases in values[table].values() for p in phrases)
            for table in ("alone", "stop")
        )
        return ReplyWords(
            alone,
            stop,
            frozenset(map(_folded, values["plainly"]["phrases"])),
            frozenset(map(_folded, values["not"]["phrases"])),
            frozenset(str(s).casefold() for s in values["absent"]["subjects"]),
            int(values["limits"]["alone_words"]),
            int(values["limits"]["short_words"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InvalidInput(
            "the phrases of answers do not read", "compare with the shipped file"
        ) from None


def _folded(text: str) -> str:
    return " ".join(
        _WORD.findall(nfc(text).casefold().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))
    )


def read_return(raw: bytes, words: ReplyWords) -> Returned:
    """Say what a mail that came back means. Renders nothing, follows nothing, keeps nothing.

    Raises:
        InvalidInput: Longer than 10 MB, with headers over 256 KB or more than 200 parts.
    """
    if len(raw) > MAX_BYTES:
        raise InvalidInput("a returned mail is larger than 10 MB", "look at it by hand")
    head = raw[: raw.find(b"\n\n") if b"\n\n" in raw else len(raw)]
    head = head[: head.find(b"\r\n\r\n")] if b"\r\n\r\n" in head else head
    if len(head) > MAX_HEADERS:
        raise InvalidInput("a returned mail has headers over 256 KB", "look at it by hand")
    try:
        mail = BytesParser(_class=EmailMessage, policy=policy.compat32).parsebytes(raw)
        parts = _parts(mail)
    except (RecursionError, ValueError, LookupError, AttributeError, TypeError):
        return Returned("other")
    kind = _report_kind(parts)
    if kind == "delivery-status":
        return _bounce(mail, parts)
    if kind == "feedback-report":
        return Returned("complaint", _named(parts, mail), _tokens(parts))
    if _automatic(mail, words):
        return Returned("absent", _answered(mail), ())
    return Returned("reply", _answered(mail), (), stop=means_stop(_own_text(parts), words))


def _parts(mail: Message) -> list[Message]:
    found = []
    for part in mail.walk():
        found.append(part)
        if len(found) > MAX_PARTS:
            raise InvalidInput(f"a returned mail has over {MAX_PARTS} parts", "look at it by hand")
    return found


def _report_kind(parts: Sequence[Message]) -> str:
    for part in parts:
        kind = part.get_content_type()
        if kind in {"message/delivery-status", "message/feedback-report"}:
            return kind.partition("/")[2]
    return ""


def _header(mail: Message, name: str) -> str:
    return str(mail.get(name, "") or "")


def _bounce(mail: Message, parts: Sequence[Message]) -> Returned:
    status, action = "", ""
    for part in parts:
        fields = f"{_header(part, 'action')} {_header(part, 'status')}"
        if fields.strip():
            action = action or _header(part, "action").strip().casefold()
            if found := _STATUS.search(_header(part, "status")):
                status = ".".join(found.groups())
                break
    hard = status.startswith("5") and action in {"", "failed"}
    kind: Kind = "other" if action in {"delivered", "relayed", "expanded"} else "bounce"
    return Returned(kind, _named(parts, mail), _tokens(parts), hard=hard, status=status)


def _named(parts: Sequence[Message], mail: Message) -> tuple[str, ...]:
    """Return ids of the messages inside a report: those of the parts, then what it answers."""
    inside = [_header(part, "message-id") for part in parts if part is not mail]
    inside += [text for part in parts if (text := _returned_headers(part))]
    found = [m for text in inside for m in _ids_in(text)]
    return tuple(dict.fromkeys([*found, *_answered(mail)]))


def _returned_headers(part: Message) -> str:
    if part.get_content_type() != "text/rfc822-headers":
        return ""
    match = re.search(r"(?im)^message-id:\s*(\S+)", _text(part))
    return match[1] if match else ""


def _ids_in(text: str) -> Iterator[str]:
    yield from _MESSAGE_ID.findall(text)


def _answered(mail: Message) -> tuple[str, ...]:
    newest = [*_ids_in(_header(mail, "in-reply-to"))]
    older = [*_ids_in(_header(mail, "references"))]
    return tuple(dict.fromkeys([*newest, *reversed(older)]))


def _tokens(parts: Sequence[Message]) -> tuple[str, ...]:
    found: list[str] = []
    for part in parts:
        found += _TOKEN.findall(_header(part, "list-unsubscribe"))
        if part.get_content_type() == "text/rfc822-headers":
            found += _TOKEN.findall(_text(part).replace("\r\n ", "").replace("\n ", ""))
    return tuple(dict.fromkeys(found))


def _automatic(mail: Message, words: ReplyWords) -> bool:
    said = _header(mail, "auto-submitted").strip().casefold()
    if said and not said.startswith("no"):
        return True
    if any(_header(mail, name) for name in _AUTOMATIC):
        return True
    if _header(mail, "precedence").strip().casefold() in _BULK:
        return True
    subject = _header(mail, "subject").strip().casefold()
    return any(subject.startswith(start) for start in words.absent)


def _text(part: Message) -> str:
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        return ""
    charset = part.get_content_charset("utf-8")
    try:
        return content[:MAX_TEXT].decode(charset, "replace")
    except LookupError:
        return content[:MAX_TEXT].decode("utf-8", "replace")


def _own_text(parts: Sequence[Message]) -> str:
    """Return what the person wrote: the first text, up to where the quoted message begins."""
    plain = next((p for p in parts if p.get_content_type() == "text/plain"), None)
    page = next((p for p in parts if p.get_content_type() == "text/html"), None)
    if plain is not None:
        text = _text(plain)
    elif page is not None:
        text = re.sub(r"(?is)<blockquote.*", "", _text(page))
        text = re.sub(r"(?s)<br\s*/?>|</(p|div)>", "\n", text)
        text = re.sub(r"(?s)<[^>]*>", " ", text)
    else:
        return ""
    own: list[str] = []
    for line in text.splitlines():
        if _QUOTE_BEGINS.match(line.strip()):
            break
        own.append(line)
    return "\n".join(own)


def means_stop(text: str, words: ReplyWords) -> bool:
    """Tell whether a person's own words mean: write to me no more.

    Some words count alone, some in a short answer; in a longer one only a phrase that can mean
    nothing else.

    >>> known = ReplyWords(frozenset({"end"}), frozenset({"stop", "hou op"}),
    ...     frozenset({"take me off"}), frozenset({"don't stop"}), frozenset(), 3, 12)
    >>> [means_stop(t, known) for t in ("STOP.", "Hou op!", "please don't stop", "Thanks")]
    [True, True, False, False]
    """
    own = _folded(text)
    if not own:
        return False
    padded = f" {own} "
    if any(f" {phrase} " in padded for phrase in words.contrary):
        return False
    if any(f" {phrase} " in padded for phrase in words.plainly):
        return True
    count = len(own.split())
    meant = words.stop if count <= words.short_words else frozenset()
    meant |= words.alone if count <= words.alone_words else frozenset()
    return any(f" {phrase} " in padded for phrase in meant)
