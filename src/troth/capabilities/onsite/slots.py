"""Slots of content: a published draft read once, and filled with what a visit may use.

A draft holds a `default` that uses nothing, and variants from the most personal to the least. Each
says which data categories it uses; a place in its words may only name what those categories give.
"""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from troth.errors import InvalidInput
from troth.kernel.house import parse_toml

LINES: Final[Mapping[str, str]] = {
    "first_name": "identity.name",
    "interest": "interests.declared",
    "often": "purchases.52w",
}
"""Place in a text → the category it needs."""
LISTS: Final[Mapping[str, str]] = {
    "favourites": "purchases.13w",
    "viewed": "views.13w",
    "alike": "cohort.compare",
}
"""List of goods → the category it needs."""
_PLACE = re.compile(r"\{\{\s*([a-z_]+)\s*\}\}")
_TEXTS: Final = ("heading", "text", "link", "link_text")
_KEYS: Final = frozenset({*_TEXTS, "items", "uses", "level"})
_LINK = re.compile(r"/[A-Za-z0-9/_.-]{0,200}")
NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,39}")
MAX_TEXT: Final = 400

Values = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True, slots=True)
class Variant:
    """One wording of a slot.

    Attributes:
        level: Level of closeness it belongs to, for people who look at it.
        uses: Data categories it needs, all of them.
        items: Name of the list it shows, or "".
    """

    level: int
    uses: frozenset[str]
    heading: str
    text: str
    link: str
    link_text: str
    items: str = ""

    @property
    def places(self) -> frozenset[str]:
        """What must be known for this wording to make sense."""
        words = f"{self.heading} {self.text} {self.link_text}"
        return frozenset(_PLACE.findall(words)) | frozenset({self.items} - {""})


@dataclass(frozen=True, slots=True)
class Slot:
    """A published slot; `variants` from the most personal to the least, the default last."""

    name: str
    label: str
    title: str
    variants: tuple[Variant, ...]

    @property
    def uses(self) -> frozenset[str]:
        """Every category any variant needs."""
        return frozenset[str]().union(*(v.uses for v in self.variants))


@dataclass(frozen=True, slots=True)
class Shown:
    """What a visit is shown; plain texts, escaped where they become a page."""

    slot: str
    label: str
    level: int
    heading: str
    text: str
    items: tuple[str, ...]
    link: str
    link_text: str
    used: tuple[str, ...]


def read_slot(name: str, label: str, raw: bytes) -> Slot:
    """Read a draft of a slot.

    Raises:
        InvalidInput: It does not read, lacks its default, or a variant names what the categories
            it uses do not give; names file and place.
    """
    file = f"content/{name}.toml"
    values = parse_toml(file, raw)
    if values.get("name") != name or not NAME.fullmatch(name):
        raise InvalidInput(f"{file} is not the slot it names", "give file and name one name")
    unknown = values.keys() - {"name", "title", "default", "variant"}
    if unknown:
        raise InvalidInput(f"{file}: unknown key {min(unknown)}", "remove it")
    told = values.get("variant", [])
    if not isinstance(values.get("default"), dict) or not isinstance(told, list):
        raise InvalidInput(f"{file} needs a [default] for visitors nobody knows", "add it")
    variants = [_variant(file, place, each) for place, each in enumerate(told, 1)]
    default = _variant(file, 0, values["default"])
    if default.uses or default.places:
        raise InvalidInput(f"{file}: the default uses nothing about anybody", "remove its places")
    return Slot(name, label, str(values.get("title", name)), (*variants, default))


def _variant(file: str, place: int, told: Any) -> Variant:  # noqa: ANN401 - as TOML has it
    where = f"{file}: variant {place}" if place else f"{file}: default"
    if not isinstance(told, dict) or not told.keys() <= _KEYS:
        raise InvalidInput(f"{where} has a key nobody reads", f"use {', '.join(sorted(_KEYS))}")
    texts = {key: told.get(key, "") for key in (*_TEXTS, "items")}
    if not all(isinstance(t, str) and len(t) <= MAX_TEXT for t in texts.values()):
        raise InvalidInput(f"{where}: a text is no text or longer than {MAX_TEXT} signs")
    uses, level = told.get("uses", []), told.get("level", 1)
    if not isinstance(uses, list) or not all(isinstance(each, str) for each in uses):
        raise InvalidInput(f"{where}: uses is a list of data categories")
    if type(level) is not int or not 1 <= level <= 5:  # noqa: PLR2004 - the levels there are
        raise InvalidInput(f"{where}: level lies between 1 and 5")
    made = Variant(level, frozenset(uses), **texts)
    _check(where, made)
    return made


def _check(where: str, made: Variant) -> None:
    if not made.heading or "{{" in made.link or (made.link and not _LINK.fullmatch(made.link)):
        raise InvalidInput(f"{where} needs a heading, and a link that is a path of the site")
    if made.items and made.items not in LISTS:
        raise InvalidInput(f"{where}: items is one of {', '.join(sorted(LISTS))}")
    needed = {LINES.get(place) or LISTS.get(place) for place in made.places}
    lines = made.places - {made.items}
    if None in needed or not lines <= LINES.keys():
        raise InvalidInput(f"{where} names a place there is none of", f"use {', '.join(LINES)}")
    if not needed <= made.uses:
        raise InvalidInput(f"{where} shows what it does not say it uses", "complete uses")


def choose(slot: Slot, permitted: frozenset[str], values: Values) -> Shown:
    """Fill the first wording whose categories are permitted and whose places are known.

    A value of a category that is not permitted is never looked at, wherever it came from.
    """
    for variant in slot.variants:
        if variant.uses <= permitted and all(values.get(place) for place in variant.places):
            return _filled(slot, variant, values)
    raise InvalidInput(f"slot {slot.name} has no default")


def _filled(slot: Slot, variant: Variant, values: Values) -> Shown:
    items = values.get(variant.items, ()) if variant.items else ()
    return Shown(
        slot=slot.name,
        label=slot.label,
        level=variant.level,
        heading=_words(variant.heading, values),
        text=_words(variant.text, values),
        items=(items,) if isinstance(items, str) else tuple(items),
        link=variant.link,
        link_text=_words(variant.link_text, values),
        used=tuple(sorted(variant.uses)),
    )


def _words(text: str, values: Values) -> str:
    return _PLACE.sub(lambda found: str(values[found[1]]), text)


def fragment(shown: Shown, why: str) -> str:
    """Write what is shown as a small piece of HTML; every text is escaped, nothing runs in it."""
    parts = [f'<section class="troth-slot" data-slot="{html.escape(shown.slot)}">']
    parts.append(f"<h2>{html.escape(shown.heading)}</h2>")
    if shown.text:
        parts.append(f"<p>{html.escape(shown.text)}</p>")
    if shown.items:
        parts.append("<ul>" + "".join(f"<li>{html.escape(i)}</li>" for i in shown.items) + "</ul>")
    if shown.link:
        label = html.escape(shown.link_text or shown.heading)
        parts.append(f'<p><a href="{html.escape(shown.link)}">{label}</a></p>')
    if why:
        parts.append(f"<p><small>{html.escape(why)}</small></p>")
    return "".join([*parts, "</section>"])


def category_of(place: str) -> str:
    """Return the data category a place needs."""
    return LINES.get(place) or LISTS[place]


SAMPLE: Final[Values] = {
    "first_name": "Thandeka",
    "interest": "baking",
    "often": "Rooibos tea",
    "favourites": ("Rooibos tea", "Seed loaf"),
    "viewed": ("Enamel kettle", "Linen cloth"),
    "alike": ("Plain flour", "Cast-iron pot"),
}
"""Invented values for a preview: no customer's."""
