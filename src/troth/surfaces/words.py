"""Word catalogues for surfaces: a code and a remedy id in, plain words out.

The kernel answers in codes; the words lie in `data/words/reasons.<language>.toml`, one table a
code. A code without words is a fault of the catalogue and fails the tests, never a page.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from troth.errors import NotFound

ENGLISH = "en"
_CAUTIOUS = ".cautious"


@dataclass(frozen=True, slots=True)
class Words:
    """One reason in words.

    Attributes:
        title: What a list or a badge shows.
        why: One sentence without law.
        change: What would change the answer, or that nothing should.
    """

    title: str
    why: str
    change: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The words of one language.

    Attributes:
        doubt: What is said beside a reason whose rule is read in the stricter of two ways.
    """

    language: str
    _reasons: Mapping[str, Words]
    _remedies: Mapping[str, str]
    doubt: str

    def reason(self, code: str) -> Words:
        """Return the words of a reason code; an unknown code is shown as it is."""
        return self._reasons.get(code, Words(code, "", ""))

    def remedy(self, name: str) -> str:
        """Return what would help, with the note of doubt where the id asks for it."""
        plain = self._remedies.get(name.removesuffix(_CAUTIOUS), "")
        return f"{plain} {self.doubt}".strip() if name.endswith(_CAUTIOUS) else plain

    def is_doubtful(self, remedy: str) -> bool:
        """Say whether a remedy id marks a rule read in the stricter way."""
        return remedy.endswith(_CAUTIOUS)

    def knows(self, code: str, remedy: str) -> bool:
        """Say whether both have words here."""
        return code in self._reasons and remedy.removesuffix(_CAUTIOUS) in self._remedies


@cache
def catalogue(language: str = ENGLISH) -> Catalogue:
    """Load a language's catalogue, once.

    Raises:
        NotFound: There is none in this language.
    """
    file = files("troth") / "data" / "words" / f"reasons.{language}.toml"
    if not language.isalpha() or not file.is_file():
        raise NotFound("there are no words in this language", "use en")
    raw = tomllib.loads(file.read_text("utf-8"))
    reasons = {code: Words(**table) for code, table in raw["reason"].items()}
    return Catalogue(language, reasons, raw["remedy"], raw["cautious"]["note"])
