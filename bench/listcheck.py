"""A list of 100,000 rows checked on one core, and its three files written. Bar: 15 s, 60 s asked.

Invented: 16 columns of a mail tool's export, 2 % repeated addresses, every kind of row.
Run: python bench/listcheck.py [rows]
"""

import csv
import io
import random
import resource
import sys
import tempfile
from pathlib import Path

from harness import print_environment, row, timed

from troth import app

HEAD = (
    "Email Address,First Name,Last Name,Status,OPTIN_TIME,OPTIN_IP,CONFIRM_TIME,CONFIRM_IP,"
    "Country,Consent method,Notice version,Last order date,Collected at sale,Opt out offered,"
    "MEMBER_RATING,TAGS"
)
AT = 1_795_000_000_000_000
BAR_S = 15


def write_list(path, rows):
    draw = random.Random(7)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEAD.split(","))
        for n in range(rows):
            year, month, date = draw.randint(2020, 2025), draw.randint(1, 12), draw.randint(1, 28)
            day = f"{year}-{month:02}-{date:02} 10:00:00"
            full, sold = draw.random() < 0.2, draw.random() < 0.3
            writer.writerow(
                [
                    f"p{n % int(rows * 0.98)}.x@post.example", "Ann", "Abe",
                    draw.choice(["Subscribed"] * 6 + ["Unsubscribed", "Cleaned", "Pending"]),
                    day if draw.random() < 0.7 else "", "192.0.2.1", "", "",
                    draw.choice(["ZA", "South Africa", "DE", "", "Canada"]),
                    "form" if full else "", "news-3" if full else "", day if sold else "",
                    "yes" if sold else "", draw.choice(["yes", "no", ""]), 3, "a",
                ]
            )  # fmt: skip


def main():
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    print_environment("msgspec")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "list.csv"
        write_list(path, rows)
        told = app.ListTold(zone="Africa/Johannesburg", sender="ZA")
        with timed() as spent:
            source = app.look_at_list(path, path.name, told)
            checked = app.check_list(source, told, AT)
        with timed() as written:
            for group in checked.outcome.groups:
                app.write_group(checked, group, io.StringIO(), lambda _verdict: ("", ""))
    groups = checked.outcome.groups
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(", ".join(f"{group} {n:,}" for group, n in groups.items()), f"; peak {peak:.0f} MB")
    assert sum(groups.values()) == rows
    bar = BAR_S * rows / 100_000
    row("list check", ours=spent.cpu, bar=bar, unit=f"CPU s, {rows:,} rows", less_is_better=True)
    row("its three files", ours=written.cpu, unit="CPU s", less_is_better=True)


if __name__ == "__main__":
    main()
