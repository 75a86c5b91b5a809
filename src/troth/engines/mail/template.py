"""A mail template is data: marks, slots, sections and repeats, and nothing to execute.

    template = parse_template(toml_text)         # or a mapping of the same shape

    name = "winback"
    version = 7
    purpose = "offers"                           # optional: what it is written for; checks use it
    subject = "{{first_name}}, your favourites are back"
    preheader = "Kept for you until Sunday"
    hosts = ["marula.example"]                   # every host a link may lead to
    mjml = "<mjml><mj-body>…</mj-body></mjml>"
    text = "Hello {{first_name}}, …"

    [slots.first_name]
    category = "identity.name"                   # "" needs no agreement (code, unsubscribe link)
    escaping = "text"                            # text | link (whole https URL) | part (of a URL)
    fallback = "there"                           # shown wherever the category is not agreed
    max_chars = 40

    [sections.favourites]                        # {{#favourites}} … {{/favourites}}
    category = "behaviour.purchases"

    [repeats.products]                  # {{#products}} … {{products.title}} … {{/products}}
    category = "behaviour.purchases"
    maximum = 3
    [repeats.products.slots.title]
    category = "behaviour.purchases"
    escaping = "text"
    fallback = "One of our classics"
    max_chars = 60

    count_clicks = false                         # optional; see Template.clicks

    [carries]                                    # obligation -> the words that carry it, one line
    notice_purpose = "What for"                  # the finished message is searched for them

A section or repeat is left out where its category is not agreed; a slot shows its fallback.
Pure: parsing reads no file and renders nothing; `frame.compile_frame` does the rest of the checks.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

from troth.engines.mail.headers import SUBJECT_MAX, UNSAFE, https_host
from troth.errors import InvalidInput

Escaping = Literal["text", "link", "part"]

VALUE_MAX = 2_000
SOURCE_MAX = 200_000
REPEAT_MAX = 24
WORDS_MAX = 300
RESERVED = frozenset({"click_mark", "open_mark"})
"""Slots that only `links.counted` adds: what tells readers apart who agreed to it."""
MARK = re.compile(r"\{\{([#/]?)([a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)?)\}\}")

_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
_HOST = re.compile(r"(?:(?!-)[a-z0-9-]{1,63}(?<!-)\.)+(?!-)[a-z0-9-]{2,63}(?<!-)")
_BRACES = re.compile(r"\{\{|\}\}|\{%|%\}")
_TEXT_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Slot:
    """One place a value may go.

    Attributes:
        category: Data category that must be agreed before a value is shown; "" needs none.
        escaping: What a value is: words, a whole https URL, or one piece of a URL.
        fallback: Shown where no value is agreed or given; constant words of the house.
        max_chars: Longest value accepted.
    """

    name: str
    category: str
    escaping: Escaping
    fallback: str
    max_chars: int


@dataclass(frozen=True, slots=True)
class Section:
    """A block shown only where its category is agreed and there is something to show."""

    name: str
    category: str


@dataclass(frozen=True, slots=True)
class Repeat:
    """A block shown once per item, at most `maximum` times, with slots of its own."""

    name: str
    category: str
    maximum: int
    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class Template:
    """A template as published (`template:name@version`); made by `parse_template` only.

    Attributes:
        preheader: What mail lists show beside the subject.
        mjml: The HTML part, as MJML.
        text: The plain part.
        hosts: Hosts links may lead to, lower case.
        purpose: The purpose it is written for, or "".
        carries: Obligation and the words that carry it, for what no rule can read by itself.
        clicks: Which constant links are counted: own (the brand's), all or none.
        pixel: Address of open marks, "" for none; never read from a template's text.
    """

    name: str
    version: int
    subject: str
    preheader: str
    mjml: str = field(repr=False)
    text: str = field(repr=False)
    hosts: frozenset[str]
    slots: tuple[Slot, ...]
    sections: tuple[Section, ...]
    repeats: tuple[Repeat, ...]
    purpose: str = ""
    carries: tuple[tuple[str, str], ...] = ()
    clicks: Literal["own", "all", "none"] = "own"
    pixel: str = ""

    @property
    def categories(self) -> frozenset[str]:
        """Every data category the template could use: what a use request must ask for."""
        repeated = (slot for repeat in self.repeats for slot in repeat.slots)
        parts: tuple[Slot | Section | Repeat, ...]
        parts = (*self.slots, *self.sections, *self.repeats, *repeated)
        return frozenset(part.category for part in parts) - {""}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of slots, sections and repeats, in the order declared."""
        parts: tuple[Slot | Section | Repeat, ...]
        parts = (*self.slots, *self.sections, *self.repeats)
        return tuple(part.name for part in parts)

    def texts(self) -> Iterator[tuple[str, str]]:
        """Yield the place and source of every part that may hold marks."""
        yield "subject", self.subject
        yield "preheader", self.preheader
        yield "mjml", self.mjml
        yield "text", self.text


def parse_template(source: str | Mapping[str, Any]) -> Template:
    """Read a template from TOML text or a mapping of the same shape.

    Raises:
        InvalidInput: Something is missing, misspelt, undeclared or unused; the message names the
            place (with a line where there is one), the remedy says what to write.
    """
    data = _Place("", _toml(source) if isinstance(source, str) else dict(source))
    template = Template(
        name=data.name("name"),
        version=data.number("version", 1, 1_000_000),
        subject=data.line("subject", SUBJECT_MAX),
        preheader=data.line("preheader", SUBJECT_MAX),
        mjml=data.text("mjml", SOURCE_MAX),
        text=data.text("text", SOURCE_MAX),
        hosts=data.hosts("hosts"),
        slots=tuple(_slot(place, name) for name, place in data.tables("slots")),
        sections=tuple(_section(place, name) for name, place in data.tables("sections")),
        repeats=tuple(_repeat(place, name) for name, place in data.tables("repeats")),
        purpose=data.name("purpose") if data.has("purpose") else "",
        carries=data.words("carries"),
        clicks=data.clicks("count_clicks"),
    )
    data.finish()
    _check_names(template)
    _check_marks(template)
    _check_fallbacks(template)
    return template


def _toml(source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"the template is no TOML: {error}", "correct that place") from None


class _Place:
    """One table of the source, and where it stands; what is read from it is ticked off."""

    def __init__(self, path: str, data: Mapping[str, Any]) -> None:
        self.path = path
        self._data = dict(data)

    def _at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def _take(self, key: str, kind: type, example: str) -> Any:  # noqa: ANN401 - checked here
        value = self._data.pop(key, None)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise InvalidInput(f"template: {self._at(key)} is missing or malformed", example)
        return value

    def text(self, key: str, most: int) -> str:
        value: str = self._take(key, str, f'write {key} = "…"')
        if len(value) > most or _TEXT_CONTROL.search(value):
            raise InvalidInput(
                f"template: {self._at(key)} is too long or holds control characters",
                f"at most {most} printable characters",
            )
        return value

    def line(self, key: str, most: int) -> str:
        value = self.text(key, most)
        if UNSAFE.search(value):
            raise InvalidInput(
                f"template: {self._at(key)} is not one line", "write one plain line"
            )
        return value

    def name(self, key: str) -> str:
        value = self.line(key, 48)
        if not _NAME.fullmatch(value.replace("-", "_")):
            raise InvalidInput(f"template: {self._at(key)} is no name", "use a-z, 0-9, _ and -")
        return value

    def number(self, key: str, least: int, most: int) -> int:
        value: int = self._take(key, int, f"write {key} = {least}")
        if not least <= value <= most:
            raise InvalidInput(
                f"template: {self._at(key)} is out of bounds", f"between {least} and {most}"
            )
        return value

    def hosts(self, key: str) -> frozenset[str]:
        values = self._take(key, list, f'write {key} = ["brand.example"]')
        for value in values:
            if not isinstance(value, str) or not _HOST.fullmatch(value):
                raise InvalidInput(
                    f"template: {self._at(key)} holds no host name", "use lower-case A-labels"
                )
        return frozenset(values)

    def tables(self, key: str) -> Iterator[tuple[str, "_Place"]]:
        tables = self._data.pop(key, {})
        if not isinstance(tables, Mapping):
            raise InvalidInput(f"template: {self._at(key)} is no table", f"write [{key}.name]")
        for name, table in tables.items():
            if not _NAME.fullmatch(name) or not isinstance(table, Mapping):
                raise InvalidInput(
                    f"template: {self._at(key)} has a malformed entry", "use a-z, 0-9 and _"
                )
            yield name, _Place(f"{self._at(key)}.{name}", table)

    def has(self, key: str) -> bool:
        """Tell whether an entry that may be left out is there."""
        return key in self._data

    def clicks(self, key: str) -> Literal["own", "all", "none"]:
        """Read whether links are counted: yes or no for all of them; missing: the brand's own."""
        if not self.has(key):
            return "own"
        value = self._data.pop(key)
        if not isinstance(value, bool):
            raise InvalidInput(f"template: {self._at(key)} is malformed", f"write {key} = true")
        return "all" if value else "none"

    def words(self, key: str) -> tuple[tuple[str, str], ...]:
        """Read a table of one-line words; missing means empty."""
        table = self._take(key, dict, f"write [{key}]") if self.has(key) else {}
        place = _Place(self._at(key), table)
        return tuple((name, place.line(name, WORDS_MAX)) for name in table)

    def finish(self) -> None:
        """Refuse what nobody read: a misspelt key must not be silently without effect."""
        if self._data:
            key = self._at(min(map(str, self._data)))
            raise InvalidInput(f"template: {key} is unknown", "remove it or correct its spelling")


def _slot(place: _Place, name: str) -> Slot:
    escaping = place.line("escaping", 10)
    if escaping not in get_args(Escaping):
        raise InvalidInput(f"template: {place.path}.escaping is unknown", "text, link or part")
    slot = Slot(
        name=name,
        category=place.line("category", 100),
        escaping=cast("Escaping", escaping),
        fallback=place.line("fallback", VALUE_MAX),
        max_chars=place.number("max_chars", 1, VALUE_MAX),
    )
    place.finish()
    return slot


def _section(place: _Place, name: str) -> Section:
    section = Section(name, place.line("category", 100))
    place.finish()
    return section


def _repeat(place: _Place, name: str) -> Repeat:
    repeat = Repeat(
        name=name,
        category=place.line("category", 100),
        maximum=place.number("maximum", 1, REPEAT_MAX),
        slots=tuple(_slot(inner, slot) for slot, inner in place.tables("slots")),
    )
    place.finish()
    return repeat


def _check_names(template: Template) -> None:
    for name in template.names:
        if name in RESERVED:
            raise InvalidInput(f"template: {name} is a name of the house's own", "choose another")
        if template.names.count(name) > 1:
            raise InvalidInput(f"template: {name} is declared twice", "rename one of them")


def _check_fallbacks(template: Template) -> None:
    slots = (*template.slots, *(slot for repeat in template.repeats for slot in repeat.slots))
    for slot in slots:
        if slot.escaping == "link" and https_host(slot.fallback) not in template.hosts:
            raise InvalidInput(
                f"template: the fallback of {slot.name} is no link to a listed host",
                "write an https URL and list its host in hosts",
            )


def _check_marks(template: Template) -> None:
    used: set[str] = set()
    for place, source in template.texts():
        used |= _Marks(template, place, source).check()
    declared = set(template.names)
    declared |= {
        f"{repeat.name}.{slot.name}" for repeat in template.repeats for slot in repeat.slots
    }
    if unused := sorted(declared - used):
        raise InvalidInput(f"template: {unused[0]} is declared, never used", "remove or use it")


class _Marks:
    """Walks the marks of one source and refuses the first that is not right, with its line."""

    def __init__(self, template: Template, place: str, source: str) -> None:
        self._slots = {slot.name for slot in template.slots}
        self._repeats = {r.name: {slot.name for slot in r.slots} for r in template.repeats}
        self._blocks = {s.name for s in template.sections} | set(self._repeats)
        self._place, self._source = place, source
        self._open: list[str] = []

    def check(self) -> set[str]:
        used = set()
        for mark in MARK.finditer(self._source):
            self._one(mark)
            used.add(mark[2])
        if self._open:
            self._refuse(len(self._source), f"{self._open[-1]} is opened, never closed")
        if stray := _BRACES.search(MARK.sub(lambda mark: " " * len(mark[0]), self._source)):
            self._refuse(stray.start(), "braces that are no mark")
        return used

    def _one(self, mark: re.Match[str]) -> None:
        kind, name = mark[1], mark[2]
        if kind == "/":
            if not self._open or self._open.pop() != name:
                self._refuse(mark.start(), f"{{{{/{name}}}}} closes nothing that is open last")
        elif kind == "#":
            self._check_block(mark.start(), name)
            self._open.append(name)
        else:
            self._check_slot(mark.start(), name)

    def _check_block(self, at: int, name: str) -> None:
        if self._place in {"subject", "preheader"}:
            self._refuse(at, "a section or repeat")
        if name not in self._blocks:
            self._refuse(at, f"{name} is no declared section or repeat")
        if name in self._open or any(outer in self._repeats for outer in self._open):
            self._refuse(at, f"{name} stands inside a repeat or inside itself")

    def _check_slot(self, at: int, name: str) -> None:
        repeat, _, inner = name.partition(".")
        if not inner and name not in self._slots:
            self._refuse(at, f"{name} is no declared slot")
        if inner and (repeat not in self._open or inner not in self._repeats.get(repeat, ())):
            self._refuse(at, f"{name} is no slot of an open repeat")

    def _refuse(self, at: int, what: str) -> None:
        line = self._source.count("\n", 0, at) + 1
        raise InvalidInput(
            f"template: {self._place} line {line}: {what}",
            "declare it under slots, sections or repeats, and close blocks in order",
        )
