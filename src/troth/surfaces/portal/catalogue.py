"""The languages of the customer's side: English is written in place, the others are gettext.

A catalogue lies in `data/locale/<language>/LC_MESSAGES/portal.po` and, compiled, beside it; the
house's own words (titles of purposes, say) come first, from its published `words:<language>`.
A sentence without a translation is shown in English and fails the tests.
"""

import gettext as gnu
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Any, Final
from zoneinfo import ZoneInfo

from markupsafe import Markup

from troth.capabilities.rights import amounts
from troth.terms import Instant, moment

ENGLISH: Final = "en"
LANGUAGES: Final[Mapping[str, str]] = {"en": "English", "af": "Afrikaans", "zu": "isiZulu"}
"""Code → the language's own name."""
DOMAIN: Final = "portal"
_POINTS: Final = {"af": ","}
"""Language → what stands before decimals, where that is no point (Unicode CLDR, 2026-11-23)."""


def N_(sentence: str) -> str:  # noqa: N802 - gettext's own word for a sentence translated later
    """Mark a sentence that is translated when it is shown."""
    return sentence


MONTHS: Final = (
    N_("January"), N_("February"), N_("March"), N_("April"), N_("May"), N_("June"), N_("July"),
    N_("August"), N_("September"), N_("October"), N_("November"), N_("December"),
)  # fmt: skip


@cache
def catalogue(language: str) -> gnu.NullTranslations:
    """Return the sentences of a language; of English those in place."""
    if language == ENGLISH:
        return gnu.NullTranslations()
    file = files("troth") / f"data/locale/{language}/LC_MESSAGES/{DOMAIN}.mo"
    if not file.is_file():
        return gnu.NullTranslations()
    return gnu.GNUTranslations(BytesIO(file.read_bytes()))


def preferred(header: str, held: str = "") -> str:
    """Return the language to speak: the person's own, else the first the browser asks for.

    >>> preferred("xh, af-ZA;q=0.8, en;q=0.5")
    'af'
    >>> preferred("de", "zu")
    'zu'
    """
    if held in LANGUAGES:
        return held
    asked = []
    for place, part in enumerate(header[:200].split(",")):
        name, _, weight = part.partition(";")
        number = weight.strip().removeprefix("q=")
        share = float(number) if number.replace(".", "", 1).isdigit() else 1.0
        asked.append((-share, place, name.strip().lower().partition("-")[0]))
    found = (name for _, _, name in sorted(asked) if name in LANGUAGES)
    return next(found, ENGLISH)


@dataclass(frozen=True, slots=True)
class Tongue:
    """One language and one zone: how sentences, numbers and moments are said to one reader.

    Attributes:
        own: The house's own words in this language, English → translation.
    """

    language: str
    zone: str
    own: Mapping[str, str] = field(default_factory=dict)

    def gettext(self, sentence: str, **named: Any) -> str:  # noqa: ANN401 - as the sentence names
        """Return a sentence in this language; what is named is put in, escaped where it is."""
        if not sentence:  # a catalogue keeps its own particulars under it
            return ""
        said = self.own.get(sentence) or catalogue(self.language).gettext(sentence)
        return _filled(said, named)

    def ngettext(self, one: str, many: str, n: int, /, **named: Any) -> str:  # noqa: ANN401
        """Return the sentence for so many, `n` among what may be named."""
        said = catalogue(self.language).ngettext(one, many, n)
        return _filled(said, {"n": self.number(n), "num": self.number(n), **named})

    def number(self, n: int) -> str:
        """Write a whole number: thousands set apart by a space that does not break."""
        return f"{n:,}".replace(",", "\N{NO-BREAK SPACE}")

    def amount(self, minor: int, currency: str) -> str:
        """Write an amount of minor units as 1 950.00 ZAR or 1 950 JPY; a minus before it."""
        whole, rest = amounts.parts(minor, currency)
        point = _POINTS.get(self.language, ".") if rest else ""
        return f"{'-' * (minor < 0)}{self.number(whole)}{point}{rest} {currency}"

    def day(self, at: Instant | date) -> str:
        """Write a day as 23 November 2026; an instant in the reader's zone."""
        day = at if isinstance(at, date) else moment(at).astimezone(ZoneInfo(self.zone)).date()
        return f"{day.day} {self.gettext(MONTHS[day.month - 1])} {day.year}"

    def month(self, day: date) -> str:
        """Write a month as November 2026."""
        return f"{self.gettext(MONTHS[day.month - 1])} {day.year}"

    def moment(self, at: Instant) -> str:
        """Write a moment as 23 November 2026, 15:04 in the reader's zone."""
        local = moment(at).astimezone(ZoneInfo(self.zone))
        return f"{self.day(at)}, {local:%H:%M}"

    def joined(self, parts: list[str]) -> str:
        """Write a list as a, b and c."""
        if len(parts) < 2:  # noqa: PLR2004 - one needs no "and"
            return "".join(parts)
        return self.gettext("%(first)s and %(last)s", first=", ".join(parts[:-1]), last=parts[-1])


def _filled(said: str, named: Mapping[str, Any]) -> str:
    return said % named if named else said


@dataclass(frozen=True, slots=True)
class InPage:
    """The same for templates: sentences are the house's own markup, what is named is escaped.

    A per cent sign in a template's sentence is written twice, as in every template's sentence.
    """

    tongue: Tongue

    def gettext(self, sentence: str, **named: Any) -> Markup:  # noqa: ANN401
        """Return a sentence."""
        return Markup(self.tongue.gettext(sentence)) % named  # noqa: S704 - ours, see above

    def ngettext(self, one: str, many: str, n: int, /, **named: Any) -> Markup:  # noqa: ANN401
        """Return the sentence for so many."""
        said = catalogue(self.tongue.language).ngettext(one, many, n)
        shown = self.tongue.number(n)
        return Markup(said) % {**named, "n": shown, "num": shown}  # noqa: S704 - ours
