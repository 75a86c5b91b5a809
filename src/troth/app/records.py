"""Consent records wired: one's own from every id one has, and a file somebody holds."""

from collections.abc import Mapping
from dataclasses import dataclass

from troth import crypto
from troth.app.workspace import Workspace
from troth.capabilities import preferences
from troth.capabilities.preferences import records
from troth.engines import dpv
from troth.errors import InvalidInput, NotFound
from troth.kernel.desk import everybody
from troth.terms import PersonId


def mine(opened: Workspace, person: PersonId) -> list[tuple[str, preferences.Kept, bytes]]:
    """Return a person's consent records, newest first: a mark for addresses, the record, bytes.

    The chains are opened: say so first (`owndata.note`). One whose bytes cannot be made anew is
    left out; the receipt of its event proves it all the same.
    """
    out = []
    with opened.store.look() as view:
        for place, each in enumerate(everybody(view, person)):
            opened.desk.vault.keys.load([each], view.now)
            chain = opened.desk.scribe.chain(view, each)
            for kept in preferences.records_of(opened.desk, view, chain):
                try:
                    raw = preferences.record_bytes(view, chain, kept.n)
                except NotFound:
                    continue
                mark = f"{kept.n}-{place}" if place else str(kept.n)
                out.append((mark, kept, raw))
    return sorted(out, key=lambda one: one[1].at, reverse=True)


@dataclass(frozen=True, slots=True)
class Checked:
    """What a file holds.

    Attributes:
        ours: It is written as ours are.
        findings: Where it is not, as (place, what).
        told: What it says, in whatever spelling.
        state: valid, superseded or unknown here; "" where no workspace was asked.
    """

    ours: bool
    findings: tuple[tuple[str, str], ...]
    told: dpv.Told
    code: str
    state: str = ""


def check(raw: bytes, opened: Workspace | None = None) -> Checked:
    """Read a consent record somebody holds, and say whether it fits and stands.

    Raises:
        InvalidInput: It is no JSON object, or nothing of a consent record is in it.
    """
    told = dpv.read(raw)
    value: Mapping[str, object] = dpv.load(raw)
    name = "receipt" if value.get("@type") == "dpv:ConsentReceipt" else "record"
    found = tuple((f.place, f.said) for f in dpv.validate(value, records.schema(name)))
    unknown = sorted(dpv.terms_of(value) - records.terms()) if not found else []
    found += tuple((term, "is no term of DPV 2.3 known here") for term in unknown)
    digest = crypto.sha256(raw)
    state = ""
    if opened is not None:
        with opened.store.look() as view:
            state = preferences.standing(opened.desk, view, digest)
    return Checked(not found, found, told, dpv.short_code(digest), state)


def check_code(opened: Workspace, code: str) -> str:
    """Say what stands for a short code.

    Raises:
        InvalidInput: A character of it is wrong.
    """
    if not code:
        raise InvalidInput("there is no code", "type it as CR-XXXX-XXXX-XXXX-X")
    with opened.store.look() as view:
        return preferences.standing_of_code(opened.desk, view, code)
