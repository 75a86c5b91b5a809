"""Looking changes nothing: every address is walked, by every role, by GET and HEAD."""

import functools
import hashlib
import re
import sqlite3
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "surfaces"))

import hub_shop

made = functools.cache(hub_shop.shop.__wrapped__)
"""A shop of this file's own: what is drafted here disturbs nobody."""

ROLES = ("marketer", "privacy_officer", "support", "it")
RECORDED = ("/refused", "/levels", "/inbox/", "/console/report", "/api/v1/permissions")
"""Reads that are events themselves: somebody's own data shown once a visit, a month's count made
once, and a feed that leaves the house. Looking a second time changes nothing more."""
MORE = (
    "?done=published&say=out&next=/console&act=approve&do=publish&answer=yes&v=1&session=abc"
    "&notice=site@1&since=0&cursor=&List-Unsubscribe=One-Click&purpose=offers"
)
SCANNER = {
    "user-agent": "Mozilla/5.0 (scanner)",
    "purpose": "prefetch",
    "sec-purpose": "prefetch;prerender",
    "origin": "https://marula.example",
    "accept": "*/*",
}


def stamps(folder: Path) -> list[tuple]:
    held = [p for p in folder.rglob("*") if p.is_file() and not p.name.endswith("-shm")]
    return sorted((str(p), p.stat().st_mtime_ns, p.stat().st_size) for p in held)


def told(folder: Path) -> dict[str, str]:
    """Every table of every database and every other file, each as one digest."""
    out = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if not path.is_file() or name.endswith(("-wal", "-shm")):
            continue
        if path.suffix != ".db":
            out[name] = hashlib.sha256(path.read_bytes()).hexdigest()
            continue
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            tables = [
                r[0] for r in db.execute("SELECT name FROM sqlite_master WHERE type='table'")
            ]
            for table in tables:
                if table == "kv" or table.startswith("sqlite_"):
                    continue
                digest = hashlib.sha256()
                for row in db.execute(f"SELECT * FROM {table}"):
                    digest.update(repr(row).encode())
                out[f"{name}:{table}"] = digest.hexdigest()
    return out


def paths(shop):
    number, token = shop.mail_of("shop-01")
    mail = (shop.folder / "inbox" / f"{number:06}.eml").read_bytes().decode()
    links = re.findall(r"/go/[\w./=-]+", mail.replace("=\r\n", ""))
    values = {
        "role": ["marketer"], "token": [token, "A" * 32], "name": ["winback", "trial", "x.css"],
        "file": ["answer.pdf"], "level": ["1", "5"], "number": [str(number)], "slot": ["home"],
        "campaign": ["winback-1"], "told": [x.rpartition("/")[2] for x in links[:2]] or ["x"],
        "version": ["1"], "purpose": ["offers"], "request_id": ["r-1"], "way": ["link"],
        "mark": ["aaaa"], "act": ["submit"], "scheme": ["light", "dark"], "path:path": ["0/000"],
    }  # fmt: skip
    for route in shop.app.routes:
        if not {"GET"} & set(route.methods or ()):
            continue
        found = [route.path]
        for key in re.findall(r"\{([^}]+)\}", route.path):
            found = [p.replace(f"{{{key}}}", v) for p in found for v in values.get(key, ["1"])]
        yield from found
        yield from (each + MORE for each in found)


@functools.cache
def drafted():
    """The shop with a campaign in it that waits to be submitted."""
    shop = made()
    client = shop.door("marketer")
    form = {"form": shop.form(client, "/console/campaigns/new"), "name": "trial"}
    answer = client.post(
        "/console/campaigns", data={**form, "audience": "winback", "template": "winback"}
    )
    assert answer.status_code == 303, answer.text
    return shop


@pytest.mark.parametrize("role", [None, "key", *ROLES])
def test_no_get_and_no_head_changes_anything_but_what_records_that_somebody_looked(role):
    shop = drafted()
    client = shop.client if role in {None, "key"} else shop.door(role)
    headers = SCANNER | (shop.key if role == "key" else {})
    at, before, changed, answers = stamps(shop.folder), told(shop.folder), [], 0
    for path in dict.fromkeys(paths(shop)):
        for method in ("HEAD", "GET"):
            answer = client.request(method, path, headers=headers, follow_redirects=False)
            assert answer.status_code < 500, (method, path)
            answers += answer.status_code == 200
            if stamps(shop.folder) == at:
                continue
            after, at = told(shop.folder), stamps(shop.folder)
            if after != before and not path.startswith(RECORDED):
                changed.append((method, path))
            before = after
    assert answers > 20
    assert not changed
