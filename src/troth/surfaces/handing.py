"""Documents as every surface hands them over: a file, a state in words, data for programs."""

from typing import Any

from troth import app as house
from troth.errors import InvalidInput
from troth.surfaces import words


def write(ws: house.Workspace, name: str, kind: str) -> bytes:
    """Return a document or blank form as a file.

    Raises:
        NotFound: There is no such document.
        InvalidInput: It is not written as this kind.
    """
    if name in house.FORMS:
        if kind != "pdf":
            raise InvalidInput("a form is written as pdf", "name a file that ends with .pdf")
        return house.form_paper(ws, name, {})
    made = house.document(ws, name)
    return house.render(made, kind, lambda at: words.spoken(at, ws.settings.zone))


def state_of(listed: house.ListedDocument) -> tuple[str, str]:
    """Return the badge of a document: its kind and words."""
    if listed.gaps:
        return "bad", f"{len(listed.gaps)} missing"
    if listed.stale:
        return "now", "changed since it was published"
    if listed.name == house.MANUAL and not listed.published:
        return "now", "complete, not published"
    return "good", "complete"


def data_of(listed: house.ListedDocument) -> dict[str, Any]:
    """Return a document of the list for programs."""
    return {
        "name": listed.name,
        "title": listed.title,
        "kind": listed.kind,
        "complete": not listed.gaps,
        "missing": [{"what": g.what, "file": g.file, "key": g.key} for g in listed.gaps],
        "needs_check": listed.needs_check,
        "review_by": listed.review_by,
        "published": listed.published,
        "stale": listed.stale,
    }
