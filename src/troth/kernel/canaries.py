"""Invented people that no purpose covers: whoever looks at one betrays themselves.

They look like everybody else of the record and are left out wherever people are counted, chosen,
written to or handed out.
"""

from collections.abc import Sequence
from typing import Final

from troth.ports import View
from troth.terms import PERSON_BYTES, PersonId

TABLE: Final = "access.canary"
"""psid → when it was planted."""
_PAGE = 500


def ids(view: View) -> frozenset[PersonId]:
    """Return every canary: a handful, read in one page."""
    out: set[PersonId] = set()
    after = b""
    while page := view.rows(TABLE, b"", after, _PAGE):
        out.update(PersonId(key[:PERSON_BYTES]) for key, _ in page)
        after = page[-1][0]
    return frozenset(out)


def is_one(view: View, person: PersonId) -> bool:
    """Tell whether somebody is a canary; one look-up."""
    return view.row(TABLE, person) is not None


def without(view: View, people: Sequence[PersonId]) -> list[PersonId]:
    """Return these people without canaries, in the order given."""
    hidden = ids(view) if people else frozenset()
    return [person for person in people if person not in hidden]
