"""Where data lies, put together from the running house and the published mappings of others."""

from collections.abc import Sequence
from dataclasses import replace

from troth.adapters.mapfiles import write_map as write
from troth.app import documents, scans
from troth.app.checks import Check
from troth.app.datamap_model import (
    RECORD,
    US,
    Holding,
    Map,
    Part,
    described,
    person_categories,
    taxonomy,
)
from troth.app.datamap_others import fides, published, stores, systems, title
from troth.app.datamap_own import arriving, ends, joined, own_parts, recipient_part, uses
from troth.app.scans import ours_of, theirs
from troth.app.workspace import Workspace
from troth.capabilities.trust.recipients import recipients

__all__ = [
    "RECORD", "US", "Holding", "Map", "Part", "described", "fides", "ours_of",
    "person_categories", "read", "taxonomy", "theirs", "title", "write",
]  # fmt: skip


def read(opened: Workspace, checks: Sequence[Check]) -> Map:
    """Put the map together; opens no value, asks no source.

    Args:
        opened: The workspace.
        checks: What the doctor found; a part shows those of its own.

    Raises:
        InvalidInput: Nothing is published yet.
    """
    facts = documents.facts(opened)
    mapped, fault = published(opened)
    used = list(uses(facts))
    outside = [recipient_part(each, facts) for each in recipients(facts)]
    theirs = [*stores(opened, mapped), *systems(mapped)]
    parts = [
        *arriving(opened, facts),
        *(joined(each, outside, facts) for each in used),
        *own_parts(opened, facts, [each.key for each in used]),
        *theirs,
        *outside,
        *ends(facts),
    ]
    return Map(
        at=facts.at,
        parts=tuple(_checked(each, checks) for each in parts),
        scans=scans.standing(opened),
        sources=tuple(sorted(opened.settings.sources)),
        fault=fault,
    )


def _checked(part: Part, checks: Sequence[Check]) -> Part:
    wanted = (*(_CHECKS.get(part.key) or _CHECKS.get(part.kind, ())), _own_word(part.key))
    return replace(part, checks=tuple(c for c in checks if c.id.startswith(wanted)))


def _own_word(key: str) -> str:
    """Return how ids of checks about one part begin: `source.crm.` of the part `source:crm`."""
    return f"{key.replace(':', '.')}."


_CHECKS: dict[str, tuple[str, ...]] = {
    **{each["key"]: tuple(each["checks"]) for each in described()["part"]},
    "people": ("notices.", "console.", "ports."),
    "site": ("notices.",),
    "use": ("access.", "signin.", "policy.", "leavers.", "exports."),
    "recipient:mail": ("relay.", "recipients."),
    "recipient": ("recipients.",),
    "end:retention": ("retention.",),
    "end:erasure": ("erasure.", "followers.", "keys."),
    "backups": ("backup.", "backups."),
}
"""Key or kind of a part → how the ids of its checks begin."""
