"""Letters about a request: that it is here, that it needs more time, what the answer is.

They say where it stands and lead to the person's own pages; a letter that may not or cannot be
written now holds nothing up, for the same words stand on those pages.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from troth.app.letters import write_letter
from troth.app.workspace import Workspace
from troth.capabilities import outreach
from troth.capabilities.rights import clocks
from troth.capabilities.rights.requests_rules import Request
from troth.errors import Fault
from troth.kernel.calendars import local_date
from troth.terms import Instant, PersonId, Refusal

PAGE: Final = "/my/requests"
HOUSE: Final = "en"
_LINES_MAX = 8
_LINE = 400


def write(opened: Workspace, person: PersonId, held: Request, what: str, paper: str = "") -> bool:
    """Write to a person about their request; False where no letter may be or was written.

    Args:
        opened: The workspace.
        person: Whose request.
        held: The request.
        what: opened, grace, reminder, asked, answered or extended.
        paper: Path of the certificate, of a deletion with grace.
    """
    language = spoken(opened, person)
    said: Mapping[str, str] = clocks.settings()["letter"][language]
    base = opened.settings.base_url
    fill = {
        "right": clocks.settings()["letter"][language]["right"][held.right],
        "day": str(_day(opened, held, what)),
        "kept": clocks.settings()["keep"]["certificate_days"],
    }
    lines = [said[what].format(**fill)] if what in said else []
    lines += _words(held) if what in {"asked", "answered", "extended"} else []
    lines.append(said["paper" if paper else "where"].format(**fill))
    letter = outreach.Letter(
        "certificate" if paper else "request_update",
        said[f"{what}_subject"].format(**fill),
        tuple(lines),
        base + (paper or PAGE),
        said["paper_link" if paper else "link"],
        language=language,
    )
    with suppress(Fault):
        return not isinstance(write_letter(opened, person, letter), Refusal)
    return False


def spoken(opened: Workspace, person: PersonId) -> str:
    """Return the language of letters to a person: their own where there are words in it."""
    with opened.store.look() as view:
        found = view.gather([person], None)
    own = found[0].record.language if found else ""
    return own if own in clocks.settings()["letter"] else HOUSE


def _day(opened: Workspace, held: Request, what: str) -> object:
    at = held.carried_out if what in {"grace", "reminder"} and held.carried_out else held.due
    return local_date(Instant(at - 1), opened.settings.zone)


def _words(held: Request) -> list[str]:
    """Return what the newest step says to the person, line by line."""
    lines = [line.strip() for line in held.steps[-1].text.splitlines() if line.strip()]
    return [line[:_LINE] for line in lines[:_LINES_MAX]]
