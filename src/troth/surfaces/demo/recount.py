"""Count again, from the input files and the local inbox alone, whether anybody was mailed unasked.

Reads no record, asks no gate: an agreement is looked for in the files as a clerk would. It is
simpler than the law (it knows no quiet hours, levels or registries), so it can only find mails to
people who gave no ground at all; the test suite has a full second opinion besides.
"""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

_YES = frozenset({"given", "reaffirmed"})
_NO = frozenset({"withdrawn", "refused", "objected", "revoked"})
_COVERING = frozenset({"offers", "marketing"})


@dataclass(frozen=True, slots=True)
class Recount:
    """What the files say about the mails that arrived."""

    mails: int
    without_agreement: int
    unknown_address: int


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def recount(folder: Path, recipients: Iterable[str], now: datetime) -> Recount:
    """Judge each recipient of the inbox by the files of `folder`.

    Args:
        folder: Where customers.csv, consents.csv and suppressions.csv lie.
        recipients: One address per mail received.
        now: The demo's moment.
    """
    customers = _rows(folder / "customers.csv")
    acts: dict[str, list[Mapping[str, str]]] = {}
    for row in _rows(folder / "consents.csv"):
        acts.setdefault(row["external_id"], []).append(row)
    suppressed = {row["email"].strip().lower() for row in _rows(folder / "suppressions.csv")}
    holders: dict[str, list[dict[str, str]]] = {}
    for row in customers:
        holders.setdefault(row["email"].strip().lower(), []).append(row)
    mails = without = unknown = 0
    for address in recipients:
        mails += 1
        people = holders.get(address.strip().lower(), [])
        unknown += not people
        agreed = any(_agreed(who, acts.get(who["external_id"], []), now) for who in people)
        without += address.strip().lower() in suppressed or not agreed
    return Recount(mails, without, unknown)


def _agreed(who: Mapping[str, str], acts: list[Mapping[str, str]], now: datetime) -> bool:
    newest_yes = newest_no = ""
    for act in acts:
        if act["purpose"] not in _COVERING:
            continue
        reaches = not act["channels"] or act["channels"] == "*" or "email" in act["channels"]
        when = act["occurred_at"]
        if act["status"] in _NO and reaches:
            newest_no = max(newest_no, _utc(when) if when else _utc(now.isoformat()))
        proven = when and act["notice"] and act["method"] and act["proof"]
        if act["status"] in _YES and act["purpose"] == "offers" and reaches and proven:
            newest_yes = max(newest_yes, _utc(when))
    if newest_yes > newest_no:
        return True
    bought = who["relation_kind"] == "sale" and who["details_from_sale"] == "yes"
    return bought and who["objection_offered"] == "yes" and not newest_no


def _utc(text: str) -> str:
    return f"{datetime.fromisoformat(text).timestamp():020.0f}"
