"""Sentences that are English text at once, and can be said again in another language.

`Said` is a `str`: whoever knows nothing of languages shows it as it is. It keeps its msgid and
what was put in, so that `in_` can say the same elsewhere, words within words included. msgids are
found in the source by the names `N_`, `Said`, and `counted` (one, many).
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Self

Gettext = Callable[[str], str]
Ngettext = Callable[[str, str, int], str]
ENGLISH: Final[Gettext] = str
BOTH: Final = "%(first)s and %(last)s"


def N_(sentence: str) -> str:  # noqa: N802 - gettext's own word for a sentence translated later
    """Mark a sentence that is translated when it is shown."""
    return sentence


class Said(str):
    """A sentence in English that remembers how it was made.

    Attributes:
        msgid: The English sentence with its named parameters.
        given: What was put in: texts, numbers, other `Said`.
    """

    __slots__ = ("given", "many", "msgid", "n")
    msgid: str
    given: Mapping[str, Any]
    many: str
    n: int

    def __new__(cls, msgid: str, given: Mapping[str, Any] | None = None) -> Self:
        """Say `msgid` with what it names."""
        return cls._made(msgid, given or {}, "", 1)

    @classmethod
    def _made(cls, msgid: str, given: Mapping[str, Any], many: str, n: int) -> Self:
        plain = {name: _english(value) for name, value in given.items()}
        text = msgid if n == 1 else many
        made = str.__new__(cls, text % plain if plain else text)
        made.msgid, made.given, made.many, made.n = msgid, given, many, n
        return made

    def in_(self, gettext: Gettext, ngettext: Ngettext | None = None) -> str:
        """Say it in another language.

        Args:
            gettext: Finds a sentence's translation.
            ngettext: The same for sentences with a count; without it English forms are looked up.
        """
        given = {name: in_(value, gettext, ngettext) for name, value in self.given.items()}
        if not self.many:
            text = gettext(self.msgid)
        elif ngettext is None:
            text = gettext(self.msgid if self.n == 1 else self.many)
        else:
            text = ngettext(self.msgid, self.many, self.n)
        return text % given if given else text


def counted(one: str, many: str, n: int, **given: object) -> Said:
    """Say how many: `%(n)s` in the sentence is the number."""
    return Said._made(one, {"n": n, **given}, many, n)  # noqa: SLF001 - of this module


class Listed(Said):
    """Things in a row: a, b and c."""

    __slots__ = ("parts",)
    parts: tuple[str, ...]

    def __new__(cls, parts: Iterable[str]) -> Self:
        """Put things in a row; none is an empty text."""
        held = tuple(parts)
        made = cls._made(_row(held, ENGLISH), {}, "", 1)
        made.parts = held
        return made

    def in_(self, gettext: Gettext, ngettext: Ngettext | None = None) -> str:
        """Say the row in another language."""
        return _row([str(in_(part, gettext, ngettext)) for part in self.parts], gettext)


def _row(parts: Iterable[str], gettext: Gettext) -> str:
    *first, last = list(parts) or [""]
    return gettext(BOTH) % {"first": ", ".join(first), "last": last} if first else str(last)


def in_(value: object, gettext: Gettext, ngettext: Ngettext | None = None) -> object:
    """Say a value in another language if it is one that can; numbers are written in English."""
    return value.in_(gettext, ngettext) if isinstance(value, Said) else _english(value)


def _english(value: object) -> object:
    return f"{value:,}" if isinstance(value, int) else value
