"""What a check of a template finds, against what, and where in the file it stands."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Weight = Literal["bad", "warn"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to put right.

    Attributes:
        weight: `bad` keeps the template from being published; `warn` is for its author to judge.
        place: subject, preheader, mjml, text, slots.NAME, sections.NAME, repeats.NAME or file.
        line: Line in the file, 1 for the first; 0 where there is none.
        code: Stable id.
    """

    weight: Weight
    place: str
    line: int
    code: str
    say: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a template is checked against.

    Attributes:
        purpose: Name of the purpose it is written for, or "".
        kind: direct_marketing, consent_request or service.
        categories: Data categories the purpose lists; None where the purpose is unknown.
        levels: Categories each level opens, level 0 first.
        postal: The postal address the message must show; "" is not checked.
        shorteners: Hosts that hide where a link leads.
    """

    purpose: str
    kind: str
    categories: frozenset[str] | None
    levels: tuple[frozenset[str], ...]
    postal: str = ""
    shorteners: frozenset[str] = field(default_factory=frozenset)


class Reading:
    """One template under check: its text, its tables, and what was found so far."""

    def __init__(self, source: str, data: Mapping[str, Any], wanted: Wanted) -> None:
        self.source, self.data, self.wanted = source, data, wanted
        self.found: list[Finding] = []

    def text(self, key: str) -> str:
        """Return a text of the template, "" where it is missing or no text."""
        value = self.data.get(key)
        return value if isinstance(value, str) else ""

    def table(self, key: str) -> dict[str, Mapping[str, Any]]:
        """Return a table of tables; what is none is left out."""
        value = self.data.get(key)
        held = value if isinstance(value, dict) else {}
        return {name: t for name, t in held.items() if isinstance(t, dict)}

    def slots(self) -> dict[str, Mapping[str, Any]]:
        """Every slot by the name its mark has."""
        out = dict(self.table("slots"))
        for repeat, table in self.table("repeats").items():
            inner = table.get("slots")
            for name, slot in inner.items() if isinstance(inner, dict) else ():
                out[f"{repeat}.{name}"] = slot if isinstance(slot, dict) else {}
        return out

    def hosts(self) -> frozenset[str]:
        """Return the hosts listed."""
        value = self.data.get("hosts")
        return frozenset(map(str, value)) if isinstance(value, list) else frozenset()

    def line(self, place: str, within: int = 0) -> int:
        """Return the file's line of a place, `within` signs into its text."""
        key, _, name = place.partition(".")
        pattern = rf"^{re.escape(key)}\s*=" if not name else rf"^\[{re.escape(place)}\]"
        found = re.search(pattern, self.source, re.MULTILINE)
        if found is None:
            return 0
        first = self.source.count("\n", 0, found.start()) + 1
        opened = self.source[found.end() : found.end() + 5].strip(" ")
        skipped = bool(re.match(r"('''|\"\"\")\r?\n", opened))
        return first + skipped + self.text(key).count("\n", 0, within) if not name else first

    def bad(self, place: str, code: str, say: str, remedy: str, within: int = 0) -> None:
        """Note what keeps the template from being published."""
        self.found.append(Finding("bad", place, self.line(place, within), code, say, remedy))

    def warn(self, place: str, code: str, say: str, remedy: str, within: int = 0) -> None:
        """Note what its author should look at."""
        self.found.append(Finding("warn", place, self.line(place, within), code, say, remedy))
