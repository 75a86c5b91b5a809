"""A small shop for the command line's tests: eight people, built once, copied for each test.

Nobody here exists. Family names and addresses hold marks that must never be printed.
"""

import atexit
import contextlib
import functools
import io
import json
import shutil
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

from troth.surfaces import cli

AT = "2026-11-17T10:00:00+02:00"
MARKS = ("Qzxplanted", "qzxmark", "Qzxgiven")
"""Stand in every name and address of the files: where one shows up, something leaked."""

CUSTOMERS = (
    "external_id,email,given_name,family_name,residence,zone,birth_year,interests,relation_kind,"
    "relation_at,relation_goods,details_from_sale,objection_offered\n"
)
CONSENTS = "external_id,purpose,channels,status,occurred_at,notice,method,proof,level,categories\n"
SOLD = "sale,2026-05-01T10:00:00+02:00,household,yes,yes"
PEOPLE = (
    ("c-agreed", "ZA", "Africa/Johannesburg", "1988", "coffee;garden"),
    ("c-objected", "ZA", "Africa/Johannesburg", "1980", ""),
    ("c-level", "ZA", "Africa/Johannesburg", "1975", "tea"),
    ("c-german", "DE", "Europe/Berlin", "1970", ""),
    ("c-silent", "ZA", "Africa/Johannesburg", "1990", ""),
    ("c-shared1", "ZA", "Africa/Johannesburg", "1990", ""),
    ("c-shared2", "ZA", "Africa/Johannesburg", "1991", ""),
    ("c-stopped", "ZA", "Africa/Johannesburg", "1991", ""),
)
ACTS = (
    "c-agreed,offers,email,given,2026-06-01T10:00:00+02:00,offers@3,checkbox,shop:1,,",
    "c-level,offers,email,given,2026-06-01T10:00:00+02:00,offers@3,checkbox,shop:2,,",
    "c-level,personalise,,given,2026-06-02T10:00:00+02:00,personalise@2,button,shop:3,2,identity.name;interests.declared",
    "c-objected,marketing,all,objected,2026-07-01T10:00:00+02:00,,paper,,,",
    "c-stopped,offers,email,given,2026-06-01T10:00:00+02:00,offers@3,checkbox,shop:4,,",
)


def address(name):
    """Return the address of one of the shop."""
    shared = "c-shared" if name.startswith("c-shared") else name
    return f"{shared}.qzxmark@post.example"


def customer(name, residence="ZA", zone="Africa/Johannesburg", born="1988", likes=""):
    return f"{name},{address(name)},Qzxgiven,Qzxplanted,{residence},{zone},{born},{likes},{SOLD}\n"


def digest(text):
    return sha256(text.encode()).hexdigest()


def registry(*addresses, head="# scheme: sha256-lower-trim\n# as-of: 2026-11-10T00:00:00+02:00\n"):
    return head + "hash\n" + "".join(f"{digest(a)}\n" for a in (*addresses, "n@post.example"))


EVENTS = (
    "external_id,at,kind,item,group,amount_minor,currency,units\n"
    "c-level,2026-06-01T10:00:00+02:00,purchase,1,coffee,1000,ZAR,1\n"
    "c-agreed,2026-06-01T10:00:00+02:00,purchase,2,wine,1000,ZAR,1\n"
)
PRODUCTS = "item,group,name,sensitive\n1,coffee,Ground coffee,no\n2,wine,Wine,yes\n"


class Ran:
    """What one command line did."""

    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    @property
    def data(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"<{self.status}: {self.out!r} {self.err!r}>"


def run(*line, stdin=""):
    """Run one command line in this process."""
    out, err, before = io.StringIO(), io.StringIO(), sys.stdin
    sys.stdin = io.StringIO(stdin)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = cli.answer([str(word) for word in line])
    finally:
        sys.stdin = before
    return Ran(status, out.getvalue(), err.getvalue())


def at(folder, *line, stdin=""):
    """Run one command in a workspace at the shop's moment."""
    return run(*line, "-w", folder, "--at", AT, stdin=stdin)


def done(ran):
    assert ran.status == 0, ran
    return ran


@functools.cache
def _home():
    home = Path(tempfile.mkdtemp(prefix="troth-shop-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    return home


@functools.cache
def bare():
    """Return a workspace with published rules and nobody in it."""
    folder = _home() / "bare"
    done(run("init", folder, "--from", "demo", "--at", AT))
    done(at(folder, "apply"))
    return folder


@functools.cache
def files():
    folder = _home() / "files"
    folder.mkdir()
    rows = "".join(customer(*person) for person in PEOPLE)
    texts = {
        "customers.csv": CUSTOMERS + rows,
        "consents.csv": CONSENTS + "".join(f"{act}\n" for act in ACTS),
        "suppressions.csv": f"email,reason,since\n{address('c-stopped')},complaint,"
        "2026-08-01T10:00:00+02:00\n",
        "registry.csv": registry(),
        "events.csv": EVENTS,
        "products.csv": PRODUCTS,
    }
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
    return folder


@functools.cache
def built():
    """Return the shop's workspace, everything imported; never change it, copy it."""
    folder = _home() / "shop"
    shutil.copytree(bare(), folder)
    for kind in ("customers", "consents", "suppressions", "registry"):
        done(at(folder, "import", kind, files() / f"{kind}.csv"))
    products = files() / "products.csv"
    done(at(folder, "import", "events", files() / "events.csv", "--products", products))
    return folder


def copied(source, target):
    shutil.copytree(source, target)
    return target
