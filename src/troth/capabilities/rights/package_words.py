"""Words of a package: its reader, and what fields and grounds are called."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from troth.kernel import events
from troth.terms import Instant, moment


def N_(sentence: str) -> str:  # noqa: N802 - gettext's own word for a sentence translated later
    """Mark a sentence that is translated when it is shown."""
    return sentence


class Tongue(Protocol):
    """How sentences, numbers and moments are said to one reader."""

    @property
    def language(self) -> str:
        """Code of the language."""
        ...

    def gettext(self, sentence: str, **named: Any) -> str:  # noqa: ANN401
        """Return a sentence, what is named put in."""
        ...

    def number(self, n: int) -> str:
        """Write a whole number."""
        ...

    def day(self, at: Instant) -> str:
        """Write a day."""
        ...

    def moment(self, at: Instant) -> str:
        """Write a moment."""
        ...


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads the package, and how it looks.

    Attributes:
        colours: The brand's colours as CSS variables; "" the plain ones.
        tell: Says an event in a sentence.
        name: Says a data category, or what else was shown.
    """

    tongue: Tongue
    tell: Callable[[events.Event], str] = lambda event: event.type
    colours: str = ""
    name: Callable[[str], str] = lambda name: name


FIELDS: Final[Mapping[str, str]] = {
    "name.given": N_("First name"),
    "name.family": N_("Family name"),
    "contact.email": N_("E-mail address"),
    "contact.sms": N_("Telephone number"),
    "contact.push": N_("App for push messages"),
    "contact.post": N_("Postal address"),
    "contact.competent": N_("E-mail address of a parent or guardian"),
    "interests": N_("Interests"),
    "birth.year": N_("Year of birth"),
    "external.id": N_("Customer number"),
    "fact.language": N_("Language"),
    "fact.residence": N_("Country you live in"),
}
"""Field → its name for the person."""
GROUNDS: Final[Mapping[str, str]] = {
    "consent": N_("you agreed"),
    "dealings": N_("your dealings with us"),
    "refused": N_("not used: you said no"),
    "none": N_("you gave no answer; what the law allows is worked out at each use"),
}


@dataclass(frozen=True, slots=True)
class English:
    """Plain English and UTC, for whoever named no language."""

    language: str = "en"

    def gettext(self, sentence: str, **named: Any) -> str:  # noqa: ANN401
        """Return the sentence itself."""
        return sentence % named if named else sentence

    def number(self, n: int) -> str:
        """Write a whole number."""
        return f"{n:,}"

    def day(self, at: Instant) -> str:
        """Write a day."""
        local = moment(at)
        return f"{local.day} {local:%B %Y}"

    def moment(self, at: Instant) -> str:
        """Write a moment."""
        return f"{self.day(at)}, {moment(at):%H:%M} UTC"


PLAIN: Final = Reader(English())
