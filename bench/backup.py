"""Backup and restore of a house of 20,000 people: seconds, megabytes, people a second.

    python bench/backup.py [PEOPLE]

Ours only: no peer we know filters, seals and replays, so there is no honest figure to set beside.
"""

import json
import platform
import shutil
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from troth import app as house
from troth.app import backup, restore
from troth.capabilities.custody import rebuilding
from troth.surfaces.demo.material import COLUMNS, write_drafts
from troth.terms import instant

NOW = datetime(2026, 11, 23, 10, tzinfo=ZoneInfo("Africa/Johannesburg"))
ACT = {
    "purpose": "offers", "channels": "email", "status": "given", "notice": "offers@3",
    "method": "checkbox", "proof": "form:bench", "given_by": "self",
    "occurred_at": (NOW - timedelta(days=100)).isoformat(),
}  # fmt: skip
EVENTS = (
    "external_id", "at", "kind", "item", "group", "amount_minor", "currency", "units", "store",
)  # fmt: skip


def write(path, columns, rows):
    with path.open("w", encoding="utf-8") as file:
        file.write(",".join(columns) + "\n")
        for row in rows:
            file.write(",".join(str(row.get(name, "")) for name in columns) + "\n")


def make(folder, people):
    folder.mkdir()
    write_drafts(folder, NOW)
    house.init(folder)
    ws = house.open(folder, at=instant(NOW))
    ws.apply()
    names = [f"p{n:06}" for n in range(people)]
    write(folder / "customers.csv", COLUMNS["customers"], (
        {"external_id": n, "email": f"{n}@post.example", "residence": "ZA",
         "zone": "Africa/Johannesburg", "language": "en", "subject": "natural",
         "given_name": "Thandi", "family_name": "Nkosi", "relation_kind": "sale",
         "relation_goods": "household", "details_from_sale": "yes", "objection_offered": "yes",
         "relation_at": (NOW - timedelta(days=300)).isoformat(), "birth_year": "1980"}
        for n in names
    ))  # fmt: skip
    write(folder / "consents.csv", COLUMNS["consents"], ({"external_id": n, **ACT} for n in names))
    write(folder / "events.csv", EVENTS, (
        {"external_id": n, "at": (NOW - timedelta(days=d)).isoformat(), "kind": "purchase",
         "item": str(1000 + d % 7), "group": "tea", "amount_minor": "1900", "currency": "ZAR",
         "units": "1", "store": "1"}
        for n in names for d in range(10, 310, 10)
    ))  # fmt: skip
    for kind in ("customers", "consents", "events"):
        house.import_file(ws, kind, folder / f"{kind}.csv")
    ws.sign()
    return ws


def timed(function, *given):
    wall, cpu = time.perf_counter(), time.process_time()
    found = function(*given)
    return found, time.perf_counter() - wall, time.process_time() - cpu


def main(people):
    folder = Path(tempfile.mkdtemp(prefix="troth-bench-"))
    try:
        ws = make(folder / "house", people)
        record = (folder / "house" / "data" / "record.db").stat().st_size
        (folder / "out").mkdir()
        made, wall, cpu = timed(backup.backup_data, ws, folder / "out")
        _, check, _ = timed(backup.check_backup, ws, made.path)
        rebuilt, facts, facts_cpu = timed(rebuilding.rebuild, ws.desk)
        ws.close()
        for name in ("keys", "witness"):
            shutil.copytree(folder / "house" / name, folder / name)
        given = restore.Given(
            keys=folder / "keys", witness=folder / "witness", clock=restore.clock(instant(NOW))
        )
        done, back, back_cpu = timed(restore.restore, folder / "new", made.path, given)
        told = {
            "people": people, "entries": made.backup.size, "record_mb": round(record / 1e6, 1),
            "backup_mb": round(made.backup.bytes / 1e6, 1), "backup_s": round(wall, 2),
            "backup_cpu_s": round(cpu, 2), "check_s": round(check, 2),
            "facts_people_per_cpu_s": round(rebuilt.people / facts_cpu),
            "facts_s": round(facts, 2), "restore_s": round(back, 2),
            "restore_cpu_s": round(back_cpu, 2),
            "restore_people_per_s": round(done.outcome.rebuilt.people / back),
            "python": platform.python_version(), "machine": platform.machine(),
        }  # fmt: skip
        print(json.dumps(told, indent=1))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
