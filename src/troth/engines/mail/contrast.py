"""How readable laid-out HTML is: the contrast of every text with its ground, light and dark.

Colours come from inline styles, as css-inline leaves them, and for dark from the rules inside
`@media (prefers-color-scheme: dark)`. Knows tag, class, attribute and descendant selectors, which
is what mail programs know. WCAG 2.2: 4.5:1 for text.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser

LEAST = 4.5
_DARK = re.compile(r"@media\s*\(prefers-color-scheme:\s*dark\)\s*\{((?:[^{}]*\{[^{}]*\})*)\s*\}")
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_SIMPLE = re.compile(r"([a-z][a-z0-9]*)?((?:\.[\w-]+)*)((?:\[[\w-]+=\"[^\"]*\"\])*)")
_HEX = re.compile(r"#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})\b")
_VOID = frozenset({"br", "hr", "img", "meta", "link", "input", "col", "wbr"})
_UNSHOWN = frozenset({"style", "title", "script", "head"})


@dataclass(frozen=True, slots=True)
class Pair:
    """One text and what it stands on; colours as #rrggbb."""

    words: str
    ink: str
    ground: str

    @property
    def ratio(self) -> float:
        """The contrast, 1 to 21."""
        return contrast(self.ink, self.ground)


@dataclass(frozen=True, slots=True)
class _Element:
    tag: str
    classes: frozenset[str]
    attributes: Mapping[str, str]
    ink: str
    ground: str
    hidden: bool


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, #rgb or #rrggbb.

    >>> round(contrast("#000", "#ffffff"), 1)
    21.0
    """
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    full = _full(colour).lstrip("#")
    parts = (int(full[i : i + 2], 16) / 255 for i in (0, 2, 4))
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)  # noqa: PLR2004 - WCAG
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _full(colour: str) -> str:
    digits = colour.lstrip("#").lower()
    return "#" + (digits if len(digits) == 6 else "".join(d * 2 for d in digits))  # noqa: PLR2004


def pairs(rendered: str, *, dark: bool) -> list[Pair]:
    """Return every visible text with its colours; a ground nobody sets is white (dark: as light).

    Args:
        rendered: HTML as laid out.
        dark: Take the reader's dark scheme to be on.
    """
    walk = _Walk(list(_dark_rules(rendered)) if dark else [])
    walk.feed(rendered)
    walk.close()
    return walk.found


_Rule = tuple[tuple[re.Match[str], ...], Mapping[str, str]]


def _dark_rules(rendered: str) -> Iterator[_Rule]:
    for media in _DARK.finditer(rendered):
        for selectors, body in _RULE.findall(media[1]):
            colours = _colours(body)
            for selector in selectors.split(","):
                parts = tuple(_SIMPLE.fullmatch(part) for part in selector.split())
                if parts and all(parts):
                    yield tuple(p for p in parts if p is not None), colours


def _colours(style: str) -> dict[str, str]:
    """Return ink and ground a style sets; `transparent` lets the ground below show."""
    out: dict[str, str] = {}
    for declaration in style.split(";"):
        name, _, value = declaration.partition(":")
        found = _HEX.search(value)
        key = {"color": "ink", "background": "ground", "background-color": "ground"}.get(
            name.strip().lower()
        )
        if key and found:
            out[key] = _full(found[0])
        elif key == "ground" and "transparent" in value:
            out[key] = ""
    return out


class _Walk(HTMLParser):
    """Walks the HTML with the colours of the elements open."""

    def __init__(self, rules: Sequence[_Rule]) -> None:
        super().__init__(convert_charrefs=True)
        self._rules = rules
        self._open = [_Element("", frozenset(), {}, "#000000", "#ffffff", hidden=False)]
        self.found: list[Pair] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        above = self._open[-1]
        style = given.get("style", "")
        classes = frozenset(given.get("class", "").split())
        colours = {"ground": given["bgcolor"]} if _HEX.fullmatch(given.get("bgcolor", "")) else {}
        colours |= _colours(style)
        here = _Element(tag, classes, given, "", "", hidden=False)
        for parts, dark in self._rules:
            if _matches(parts, [*self._open, here]):
                colours |= dark
        hidden = above.hidden or tag in _UNSHOWN or "display:none" in style.replace(" ", "")
        ink = colours.get("ink") or above.ink
        ground = colours.get("ground") or above.ground
        if tag not in _VOID:
            self._open.append(_Element(tag, classes, given, ink, _full(ground), hidden))

    def handle_endtag(self, tag: str) -> None:
        if any(element.tag == tag for element in self._open):
            while self._open.pop().tag != tag:
                pass

    def handle_data(self, data: str) -> None:
        here = self._open[-1]
        if data.strip() and not here.hidden and len(self._open) > 1:
            self.found.append(Pair(" ".join(data.split())[:60], here.ink, here.ground))


def _matches(parts: Sequence[re.Match[str]], line: Sequence[_Element]) -> bool:
    """Tell whether a selector picks the last element of a line of descent."""
    if not _is(parts[-1], line[-1]):
        return False
    wanted = list(parts[:-1])
    for element in reversed(line[:-1]):
        if wanted and _is(wanted[-1], element):
            wanted.pop()
    return not wanted


def _is(simple: re.Match[str], element: _Element) -> bool:
    tag, classes, attributes = simple[1], simple[2], simple[3]
    return (
        (not tag or tag == element.tag)
        and set(filter(None, classes.split("."))) <= element.classes
        and all(
            element.attributes.get(name) == value
            for name, value in re.findall(r"\[([\w-]+)=\"([^\"]*)\"\]", attributes)
        )
        and bool(simple[0])
    )
