"""Rows of a checked list taken out by staff: the claim judged, the export booked, then the file.

They are the rows the colleague brought, with a word beside each: the house gives none of its own
data and looks none of them up, so nobody's chain names them. What leaves is one event of the
house: how many rows, which of them (a root over their keyed digests), until when.
"""

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Final

from troth import crypto
from troth.app.listcheck import Checked
from troth.capabilities.access import exports
from troth.capabilities.access.acts import may_take
from troth.capabilities.access.exports import Export, Taking
from troth.capabilities.listcheck import Group
from troth.terms import PERSON_BYTES, Actor, PersonId, Refusal, Role

if TYPE_CHECKING:
    from troth.app.workspace import Workspace

TAKERS: Final = frozenset({Role.MARKETER, Role.OFFICER, Role.SYSTEM})
PURPOSE: Final = "list_check"


def take_groups(
    opened: "Workspace", checked: Checked, groups: Collection[Group], actor: Actor
) -> Export | Refusal:
    """Book that rows of these groups are taken out; only then may they be written.

    Returns:
        The export whose mark the files carry, or why this colleague takes none.

    Raises:
        InvalidInput: The list breaks off when it is read again; nothing was booked.
    """
    desk = opened.desk
    if (no := may_take(desk, actor, TAKERS)) is not None:
        return no
    return exports.begin(desk, Taking("list", PURPOSE, list(_rows(checked, groups))), actor)


def take_report(opened: "Workspace", month: str, actor: Actor) -> Export | Refusal:
    """Book that the report of a month is taken out: figures, nobody among them."""
    if (no := may_take(opened.desk, actor, TAKERS)) is not None:
        return no
    return exports.begin(opened.desk, Taking("report", "report", reason=month), actor)


def _rows(checked: Checked, groups: Collection[Group]) -> Iterator[PersonId]:
    """Digest each row that leaves; the house knows it by that alone."""
    for place, record in enumerate(checked.source.records()):
        if checked.outcome.verdict(place).group in groups:
            row = "\0".join(record.texts).encode("utf-8", "surrogatepass")
            yield PersonId(crypto.sha256(row)[:PERSON_BYTES])
