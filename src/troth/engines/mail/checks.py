"""Read a template as its author would want it read: every fault at once, each with its place.

    findings = check(source, Wanted(purpose="offers", kind="direct_marketing", ...))

`parse_template` and `compile_frame` refuse the first thing that is wrong; this goes on and names
the rest, and says what no parser would: a promise missing at the foot, words missing in the plain
part, text nobody can read in the dark, a subject that shouts. Pure: nothing is loaded or asked.
"""

import html
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from email import message_from_bytes, policy
from html.parser import HTMLParser
from typing import Any, Final, get_args

from troth.engines.mail import contrast, layout
from troth.engines.mail.dkim import Draft
from troth.engines.mail.filling import Envelope
from troth.engines.mail.findings import Finding, Reading, Wanted
from troth.engines.mail.frame import compile_frame, presence
from troth.engines.mail.headers import https_host
from troth.engines.mail.saying import SAYABLE, said
from troth.engines.mail.source import blocks
from troth.engines.mail.template import MARK, Escaping, Template, parse_template
from troth.errors import InvalidInput

_ENVELOPE = Envelope(
    "Sample", "sample@brand.example", "sample@brand.example", "0@brand.example", 0
)
SUBJECT_GOOD: Final = 60
PREHEADER_GOOD: Final = 110
CLIPPED_BYTES: Final = 102 * 1024
"""Where a large mail provider cuts a message's HTML off, and the way out with it."""
GOOD_BYTES: Final = 40 * 1024
SHOUT: Final = 0.7
LETTERS: Final = 8
_TO_WRITE = re.compile(r"\[[A-Z][^\]\n]{2,}\]")
_AT = re.compile(r"at line ([0-9]+)")
_LINK = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:(?://)?|www\.)[^\s<>\"{}]+")
_IP = re.compile(r"[0-9.]+|\[.*")


def check(source: str, wanted: Wanted) -> list[Finding]:
    """Return everything found, gravest first, then by line; costs some milliseconds.

    Args:
        source: The file's text.
        wanted: What it is for.
    """
    try:
        data = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        at = _AT.search(str(error))
        said = Finding("bad", "file", int(at[1]) if at else 0, "toml", "the file is no TOML here",
                       "correct the quotes or brackets at this place")  # fmt: skip
        return [said]
    reading = Reading(source, data, wanted)
    for part in _PARTS:
        part(reading)
    if not any(f.weight == "bad" and f.code != "to_write" for f in reading.found):
        _check_whole(reading)
    return sorted(set(reading.found), key=lambda f: (f.weight != "bad", f.line, f.place, f.code))


def publishable(findings: list[Finding]) -> bool:
    """Tell whether nothing bad was found."""
    return not any(f.weight == "bad" for f in findings)


_MARKED = ("subject", "preheader", "mjml", "text")


def _check_entries(r: Reading) -> None:
    for key in _MARKED:
        if not r.text(key):
            r.bad(key, "missing", f"there is no {key}", f'write {key} = "…"')
    if not r.hosts():
        r.bad("hosts", "missing", "no host is listed that links may lead to", 'hosts = ["…"]')


def _check_slots(r: Reading) -> None:
    for name, slot in r.slots().items():
        repeat, _, inner = name.partition(".")
        place = f"repeats.{repeat}.slots.{inner}" if inner else f"slots.{name}"
        if not isinstance(slot.get("fallback"), str):
            r.bad(place, "no_fallback", f"the slot {name} has no fallback",
                  "write what is shown where the person did not agree")  # fmt: skip
        if slot.get("escaping") not in get_args(Escaping):
            r.bad(place, "escaping", f"the slot {name} has no known escaping",
                  "write text, link or part")  # fmt: skip
        _check_category(r, place, slot)
    for kind in ("sections", "repeats"):
        for name, table in r.table(kind).items():
            _check_category(r, f"{kind}.{name}", table)


def _check_category(r: Reading, place: str, table: Mapping[str, Any]) -> None:
    category, allowed = str(table.get("category", "")), r.wanted.categories
    if category and allowed is not None and category not in allowed:
        r.bad(place, "category_not_in_purpose",
              f"{category} is not among the data of the purpose {r.wanted.purpose}",
              "take it out, or have the purpose and its notice say it")  # fmt: skip


def _check_marks(r: Reading) -> None:
    slots, blocks_named = r.slots(), {*r.table("sections"), *r.table("repeats")}
    seen: set[str] = set()
    for place in _MARKED:
        seen |= _walk_marks(r, place, set(slots), blocks_named)
    for name in (slots.keys() | blocks_named) - seen:
        kind = (
            "slots" if name in slots else "sections" if name in r.table("sections") else "repeats"
        )
        path = f"repeats.{name.replace('.', '.slots.')}" if "." in name else f"{kind}.{name}"
        r.bad(path, "unused", f"{name} is declared and never used", "use it or remove it")


def _walk_marks(r: Reading, place: str, slots: set[str], named: set[str]) -> set[str]:
    source, seen, opened = r.text(place), set(), []
    for mark in MARK.finditer(source):
        kind, name = mark[1], mark[2]
        seen.add(name)
        if kind == "#":
            opened.append(name)
            if name not in named:
                r.bad(place, "unknown_block", f"{name} is no declared section or repeat",
                      f"declare [sections.{name}]", mark.start())  # fmt: skip
        elif kind == "/":
            if not opened or opened.pop() != name:
                r.bad(place, "out_of_order", f"{name} is closed and was not opened last",
                      "close what was opened last first", mark.start())  # fmt: skip
        elif name not in slots:
            r.bad(place, "unknown_slot", f"{name} is no declared slot",
                  f"declare [slots.{name}] or correct its spelling", mark.start())  # fmt: skip
    if opened:
        r.bad(place, "unclosed", f"{opened[-1]} is opened and never closed",
              f"write {{{{/{opened[-1]}}}}}", len(source))  # fmt: skip
    left = MARK.sub(lambda mark: " " * len(mark[0]), source)
    if stray := re.search(r"\{\{|\}\}|\{%|%\}", left):
        r.bad(place, "braces", "braces stand here that are no mark",
              "a mark is {{name}}, {{#name}} or {{/name}}", stray.start())  # fmt: skip
    return seen


class _Markup(HTMLParser):
    """Names every tag, load and link of the MJML that may not be there."""

    def __init__(self, reading: Reading) -> None:
        super().__init__(convert_charrefs=True)
        self._r, self.headlines, self.language = reading, 0, ""

    def _bad(self, code: str, say: str, remedy: str) -> None:
        within = sum(
            map(len, self._r.text("mjml").splitlines(keepends=True)[: self.getpos()[0] - 1])
        )
        self._r.bad("mjml", code, say, remedy, within)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.headlines += tag == "h1"
        given = {name: value or "" for name, value in attrs}
        self.language = given.get("lang", self.language) if tag == "mjml" else self.language
        if tag in _TOLD:
            self._bad(*_TOLD[tag])
        elif tag not in layout.TAGS:
            self._bad("unknown_tag", f"<{tag[:30]}> is not supported and would vanish silently",
                      "use a listed MJML or HTML tag")  # fmt: skip
        for name, value in given.items():
            if tag not in _TOLD and (name in layout.LOADING or name.startswith("on")):
                self._bad("loads", f"{name} of <{tag}> would load or run something", "remove it")
            if name == "href" and not MARK.fullmatch(value):
                _check_link(self._bad, value, self._r)

    def handle_comment(self, data: str) -> None:  # noqa: ARG002 - HTMLParser's signature
        self._bad("comment", "a comment would reach the reader", "remove it")


_IMAGE = ("remote_image", "an image would be loaded from a server when the mail is opened",
          "leave it out: loading it tells when somebody reads, which is tracking")  # fmt: skip
_FORM = ("form", "a form inside a mail is not shown by most programs and warns the others",
         "link to a page with the form")  # fmt: skip
_TOLD: Final[Mapping[str, tuple[str, str, str]]] = {
    **dict.fromkeys(("img", "mj-image", "mj-carousel", "mj-hero", "picture", "video"), _IMAGE),
    **dict.fromkeys(("form", "input", "button", "select", "textarea"), _FORM),
    "script": ("script", "a script in a mail is never run and often blocked", "remove it"),
    "mj-include": ("include", "another file would be read in", "write its content here"),
    "mj-raw": ("raw", "raw markup is not checked", "write it with mj-text"),
}

_Refuse = Callable[[str, str, str], None]


def _check_link(refuse: _Refuse, url: str, r: Reading) -> None:
    plain = MARK.sub("0", url).strip()
    scheme = plain.partition(":")[0].lower()
    if scheme in {"mailto", "tel", "sms"}:
        refuse("link_scheme", f"a {scheme} link cannot be verified by its reader",
               "write the address or number as text, or link to a page")  # fmt: skip
        return
    if scheme != "https":
        refuse("link_not_https", "a link is not https", "write https://…")
        return
    host = https_host(plain)
    if host in r.wanted.shorteners:
        refuse("link_shortened", f"{host} hides where the link leads", "link to the page itself")
    elif not host or _IP.fullmatch(host):
        refuse("link_to_number", "a link leads to a bare number or does not read",
               "use a host name of yours")  # fmt: skip
    elif host not in r.hosts():
        refuse("link_host", f"{host} is not listed in hosts", "list it, or link to a listed host")


def _check_markup(r: Reading) -> None:
    walk = _Markup(r)
    walk.feed(r.text("mjml"))
    walk.close()
    if not walk.language:
        r.warn("mjml", "no_language", "the message does not say its language",
               'write <mjml lang="en">')  # fmt: skip
    if walk.headlines != 1:
        r.warn("mjml", "headlines", f"the message has {walk.headlines} first headlines (h1)",
               "give it exactly one, for readers who listen")  # fmt: skip


def _check_text_links(r: Reading) -> None:
    text = r.text("text")
    for found in _LINK.finditer(text):
        url = found[0].rstrip(".,;:!?)")
        if "://" not in url and not url.lower().startswith(("www.", "mailto:", "tel:")):
            continue

        def refuse(code: str, say: str, remedy: str, at: int = found.start()) -> None:
            r.bad("text", code, say, remedy, at)

        _check_link(refuse, url, r)


def _check_lines(r: Reading) -> None:
    subject = _with_fallbacks(r, r.text("subject"))
    if len(subject) > SUBJECT_GOOD:
        r.warn("subject", "long_subject", f"the subject has {len(subject)} signs",
               f"phones show about {SUBJECT_GOOD}")  # fmt: skip
    if len(_with_fallbacks(r, r.text("preheader"))) > PREHEADER_GOOD:
        r.warn("preheader", "long_preheader", "the line beside the subject is long",
               f"lists show about {PREHEADER_GOOD} signs")  # fmt: skip
    letters = [sign for sign in subject if sign.isalpha()]
    if len(letters) >= LETTERS and sum(map(str.isupper, letters)) / len(letters) > SHOUT:
        r.warn("subject", "shouting", "the subject is in capitals", "write it as you would say it")
    if re.search(r"[!?]{2}|[$€£]{2}|!.*!", subject):
        r.warn("subject", "shouting", "the subject shouts", "one mark is enough")
    if re.match(r"\s*(re|fwd?|aw)\s*:", subject, re.IGNORECASE):
        r.bad("subject", "deceptive_subject", "the subject pretends to be an answer",
              "say what the message is about")  # fmt: skip
    for place in _MARKED:
        for left in _TO_WRITE.finditer(r.text(place)):
            r.bad(place, "to_write", f"still to be written: {left[0][:60]}",
                   "put your own words in place of the brackets", left.start())  # fmt: skip


def _with_fallbacks(r: Reading, text: str) -> str:
    slots = r.slots()
    return MARK.sub(lambda mark: str(slots.get(mark[2], {}).get("fallback", "")), text)


FOOT: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "direct_marketing": (
        ("why", "why the person gets it"), ("used", "what was used to write it"),
        ("stop_link", "the way to stop it"), ("settings_link", "the way to see and change it"),
    ),
    "consent_request": (
        ("why", "why the person gets it"), ("used", "what was used to write it"),
        ("ask_link", "the way to answer"), ("stop_link", "the way to say no for good"),
    ),
    "service": (("why", "why the person gets it"), ("used", "what was used to write it")),
}  # fmt: skip
"""Slots every message of a kind must show, in the HTML and in its plain twin."""


def _check_foot(r: Reading) -> None:
    for place in ("mjml", "text"):
        held = {mark[2] for mark in MARK.finditer(r.text(place)) if not mark[1]}
        for slot, words in FOOT.get(r.wanted.kind, ()):
            if slot not in held:
                r.bad(place, f"no_{slot}", f"it does not say {words}", f"add {{{{{slot}}}}} here")
        shown = " ".join(html.unescape(r.text(place)).split())
        if r.wanted.postal and r.wanted.kind != "service" and r.wanted.postal not in shown:
            r.bad(place, "no_postal", "the sender's postal address is missing",
                  "write it as troth.toml has it")  # fmt: skip


def _check_carries(r: Reading) -> None:
    held = r.data.get("carries")
    for name, words in held.items() if isinstance(held, dict) else ():
        if not SAYABLE.fullmatch(name):
            r.bad("file", "not_sayable", f"words cannot carry {name[:40]}; it is checked itself",
                  "remove it from [carries]")  # fmt: skip
        for place in ("mjml", "text"):
            if " ".join(str(words).split()) not in said(r.text(place)):
                r.bad(place, "carries", f"the words that carry {name[:40]} do not stand here",
                      "write them, or name the words that do")  # fmt: skip


_PARTS = (
    _check_entries, _check_slots, _check_marks, _check_markup, _check_text_links, _check_lines,
    _check_foot,
    _check_carries,
)  # fmt: skip


# The whole, laid out at every level


def _check_whole(r: Reading) -> None:
    try:
        template = parse_template(r.data)
        first: dict[frozenset[str], int] = {}
        for level, opened in _opened(template, r.wanted):
            first.setdefault(opened & template.categories, level)
        faces = {level: laid_out(template, opened)[0] for opened, level in first.items()}
    except InvalidInput as fault:
        place = next((p for p in _MARKED if p in fault.message), "file")
        r.bad(place, "not_laid_out", fault.message.removeprefix("template: "), fault.remedy)
        return
    for level, rendered in faces.items():
        _check_size(r, level, len(rendered.encode()))
    fullest = max(faces.values(), key=len)  # levels add blocks and take none away
    for dark in (False, True):
        _check_contrast(r, fullest, dark=dark)
    _check_twin(r)


def _opened(template: Template, wanted: Wanted) -> Iterator[tuple[int, frozenset[str]]]:
    may = template.categories if wanted.categories is None else wanted.categories
    if wanted.kind != "direct_marketing":
        yield 1, may if wanted.kind == "service" else frozenset()
        return
    for level in range(1, max(len(wanted.levels), 2)):
        yield level, frozenset[str]().union(*wanted.levels[: level + 1]) & may


def laid_out(template: Template, categories: frozenset[str]) -> tuple[str, str]:
    """Return HTML and plain part of a template filled with its own fallback words.

    Raises:
        InvalidInput: The layout is refused, see `compile_frame`.
    """
    values: dict[str, Any] = {slot.name: slot.fallback for slot in template.slots}
    for repeat in template.repeats:
        values[repeat.name] = [{s.name: s.fallback for s in repeat.slots}] * repeat.maximum
    frame = compile_frame(template, categories, presence(template, values))
    return parts_of(frame.fill(values, _ENVELOPE))


def parts_of(draft: Draft) -> tuple[str, str]:
    """Return HTML and plain part of a draft as text."""
    head = "".join(f"{name}: {value}\r\n" for name, value in draft.headers)
    whole = message_from_bytes(head.encode() + b"\r\n" + draft.body, policy=policy.default)
    plain, rich = (str(part.get_content()) for part in whole.iter_parts())
    return rich, plain


def _check_size(r: Reading, level: int, size: int) -> None:
    if size > CLIPPED_BYTES:
        r.bad("mjml", "clipped", f"at level {level} the HTML has {size:,} bytes and is cut off",
              f"stay below {CLIPPED_BYTES:,}; the way out stands at the end")  # fmt: skip
    elif size > GOOD_BYTES:
        r.warn("mjml", "large", f"at level {level} the HTML has {size:,} bytes", "make it shorter")


def _check_contrast(r: Reading, rendered: str, *, dark: bool) -> None:
    for pair in contrast.pairs(rendered, dark=dark):
        if pair.ratio < contrast.LEAST:
            words = pair.words.split(" ")[0][:20]
            at = max(r.text("mjml").find(words), 0)
            scheme = "dark" if dark else "light"
            r.warn("mjml", f"contrast_{scheme}",
                   f"text on its ground has a contrast of {pair.ratio:.1f} in the {scheme} scheme",
                   f"{pair.ink} on {pair.ground}: at least {contrast.LEAST}", at)  # fmt: skip


def _check_twin(r: Reading) -> None:
    """Name the texts of the HTML that the plain part leaves out."""
    twin = _bare(r.text("text"))
    for block in blocks(r.text("mjml")):
        if _bare(block.text) not in twin and block.role != "Link":
            r.warn("text", "twin", f"the plain part lacks: {' '.join(block.text.split())[:60]}",
                   "say there what the message says")  # fmt: skip


def _bare(text: str) -> str:
    """Return letters, digits and slot names alone, so that layout makes no difference."""
    return "".join(sign for sign in text.replace("**", "").casefold() if sign.isalnum())
