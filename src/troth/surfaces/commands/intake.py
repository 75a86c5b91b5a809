"""Taking files in, with a report by line."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import msgspec

from troth import app
from troth.capabilities import custody, people, preferences
from troth.engines.intake import REMEDIES, ImportReport, Kind
from troth.errors import InvalidInput
from troth.kernel.events import canonical
from troth.surfaces.commands.answer import Answer, counted
from troth.surfaces.commands.call import Call

NAMES, SENSITIVE = "items", "items.sensitive"
"""Published: item → name of ordinary goods; items from which nothing is inferred."""
_LOST = ("rejected", "skipped")
_SHOWN = 5
_COLUMNS = frozenset({"item", "sensitive"})

OUTCOMES: Mapping[str, str] = {
    "kept": "rows read",
    "rejected": "rejected: not taken",
    "skipped": "skipped: stood there before",
    "known": "known already, left as they were",
    "unknown_person": "about nobody known here, not kept",
    "unproven": "consents without full proof: kept as unknown, they open nothing",
    "future": "dated in the future: not kept",
    "meets_somebody": "meet somebody known here",
    "meets_nobody": "meet nobody known here, kept all the same",
}


@dataclass(frozen=True, slots=True)
class Options:
    """What an import may be told besides kind and file."""

    zone: str = ""
    brand: str = ""
    products: str = ""
    registry: str = "ZA"
    rejects: str = ""


def take(call: Call, word: str, file: Path, options: Options) -> Answer:
    """Take a file in; rows that are broken cost themselves only."""
    kind = cast(Kind, word)
    with call.opened() as ws:
        source = app.open_file(kind, file, options.zone)
        before = _done(ws, kind, source.digest)
        extras = app.Extras(
            options.zone,
            options.brand,
            _sensitive(ws, options.products) if kind == "events" else frozenset(),
            options.registry,
            call.watch(f"import {kind}"),
        )
        report = app.import_file(ws, kind, file, extras)
        rejects = _write_rejects(ws, source, report, options.rejects)
        ws.sign()
    data = _data(kind, source.digest, before, report)
    return Answer({**data, "rejects": rejects}, _lines(data, rejects), _status(report))


def _done(ws: app.Workspace, kind: Kind, digest: bytes) -> int:
    with ws.store.look() as view:
        if kind == "consents":
            return preferences.done_before(view, kind, digest)
        return people.done_before(view, kind, digest)


def _status(report: ImportReport) -> int:
    """Bad input is a file of which every row was rejected; some good rows make it a report."""
    return 2 if report.outcomes["rejected"] and not report.outcomes["kept"] else 0


def _sensitive(ws: app.Workspace, products: str) -> frozenset[str]:
    """Return the items kept apart, as told now or as last published.

    Raises:
        InvalidInput: Nobody ever said which items are sensitive, or the file does not read.
    """
    if products:
        names, apart = read_products(Path(products))
        custody.apply(ws.desk, {NAMES: canonical(names), SENSITIVE: canonical({"items": apart})})
        return frozenset(apart)
    with ws.store.look() as view:
        published = view.published(SENSITIVE)
    if published is None:
        raise InvalidInput(
            "nobody said which items are sensitive", "add --products FILE (item, name, sensitive)"
        )
    return frozenset(msgspec.json.decode(published.data)["items"])


def read_products(path: Path) -> tuple[dict[str, str], list[str]]:
    """Read item, name, sensitive: ordinary items by name, and those apart.

    Whatever is not plainly `no` counts as sensitive.

    Raises:
        InvalidInput: It cannot be read, or lacks a column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, strict=True)
            if not set(rows.fieldnames or ()) >= _COLUMNS:
                raise InvalidInput("the products file lacks item or sensitive", "add the column")
            names: dict[str, str] = {}
            apart: set[str] = set()
            for row in rows:
                if (row["sensitive"] or "").strip().lower() == "no":
                    names[row["item"]] = row.get("name") or row["item"]
                else:
                    apart.add(row["item"])
    except (OSError, UnicodeDecodeError, csv.Error):
        raise InvalidInput("the products file cannot be read", "save it as CSV in UTF-8") from None
    return names, sorted(apart)


def _write_rejects(
    ws: app.Workspace, source: "app.OpenFile", report: ImportReport, named: str
) -> str:
    """List every lost line with code, field and remedy, never a value; "" when none was."""
    if not any(report.outcomes[word] for word in _LOST):
        return ""
    path = Path(named) if named else _rejects_path(ws, source)
    source.write_rejects(path)
    return str(path)


def _rejects_path(ws: app.Workspace, source: "app.OpenFile") -> Path:
    folder = ws.settings.record.parent / "rejects"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / f"{source.kind}-{source.digest.hex()[:12]}.csv"


def _data(kind: Kind, digest: bytes, before: int, report: ImportReport) -> dict[str, Any]:
    return {
        "kind": kind,
        "digest": digest.hex(),
        "resumed_after": before,
        "outcomes": dict(sorted(report.outcomes.items())),
        "findings": [
            {
                "code": code,
                "count": count,
                "lines": report.lines.get(code, []),
                "fields": sorted(report.fields.get(code, ())),
                "remedy": REMEDIES[code],
            }
            for code, count in sorted(report.codes.items())
        ],
    }


def _lines(data: Mapping[str, Any], rejects: str) -> list[str]:
    spoken: dict[str, int] = {}
    for name, count in data["outcomes"].items():
        word = f"recorded as {name[4:]}" if name.startswith("act.") else OUTCOMES.get(name, name)
        spoken[word] = count
    lines = [f"Imported {data['kind']}.", *counted(spoken)]
    if data["resumed_after"]:
        lines.append(f"The first {data['resumed_after']:,} rows were taken in before.")
    for found in data["findings"]:
        shown = ", ".join(map(str, found["lines"][:_SHOWN]))
        more = "" if found["count"] <= _SHOWN else ", …"
        where = f" ({', '.join(found['fields'])})" if found["fields"] else ""
        lines.append(f"  {found['count']:,} times {found['code']}{where}, line {shown}{more}:")
        lines.append(f"      {found['remedy']}")
    return [*lines, f"Lost lines are listed in {rejects}"] if rejects else lines
