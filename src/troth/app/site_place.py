"""Where the site is and what it holds: origins, goods, rules, slots as published."""

import csv
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final
from urllib.parse import urlsplit

from troth.app.workspace import Workspace
from troth.capabilities import onsite
from troth.errors import Fault, InvalidInput, NotFound
from troth.ports import View

_NEVER_SHARED: Final = frozenset({"localhost", "127.0.0.1"})
"""Hosts whose pages are on this machine: the only ones that may come without https."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the site is, from `[site]` of `troth.toml`.

    Attributes:
        origins: Pages of these origins may send and ask; `https://host[:port]`.
        cookie_domain: Domain the visitor's cookie is for; "" this host alone.
        forwarded: Header in which a proxy before us names the network; "" none is before us.
    """

    origins: tuple[str, ...]
    cookie_domain: str = ""
    forwarded: str = ""


@dataclass(frozen=True, slots=True)
class Goods:
    """What `products.csv` says: names that may be shown, and what no note is taken of."""

    names: Mapping[str, str]
    items: frozenset[str]
    groups: frozenset[str]


@cache
def rules() -> onsite.Rules:
    """Return the shipped rules of the site."""
    return onsite.read_rules(tomllib.loads((files("troth") / "data/site.toml").read_text("utf-8")))


def place(opened: Workspace) -> Place:
    """Read where the site is.

    Raises:
        InvalidInput: `[site]` of `troth.toml` does not read; names the key.
    """
    told = opened.settings.site
    unknown = told.keys() - {"origins", "cookie_domain", "forwarded"}
    if unknown:
        raise InvalidInput(f"troth.toml: [site] has no {min(unknown)}", "see docs/site.md")
    origins = told.get("origins", [])
    if not isinstance(origins, list) or not all(map(_is_origin, origins)):
        raise InvalidInput(
            "troth.toml: [site] origins are written like https://shop.example", "see docs/site.md"
        )
    return Place(
        tuple(origins), str(told.get("cookie_domain", "")), str(told.get("forwarded", ""))
    )


def _is_origin(text: object) -> bool:
    if not isinstance(text, str):
        return False
    found = urlsplit(text)
    secure = found.scheme == "https" or (
        found.scheme == "http" and found.hostname in _NEVER_SHARED
    )
    return secure and bool(found.hostname) and f"{found.scheme}://{found.netloc}" == text


def goods(opened: Workspace) -> Goods:
    """Read the workspace's `products.csv`, if any."""
    path = opened.settings.folder / "products.csv"
    if not path.is_file():
        return Goods({}, frozenset(), frozenset())
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    closed = [row for row in rows if row.get("sensitive") == "yes"]
    return Goods(
        {row["item"]: row["name"] for row in rows if row.get("sensitive") != "yes"},
        frozenset(row["item"] for row in closed),
        frozenset(row["group"] for row in closed if row.get("group")),
    )


def slot(view: View, name: str) -> onsite.Slot:
    """Return a published slot.

    Raises:
        NotFound: There is none of this name.
        InvalidInput: The published draft does not read.
    """
    found = view.published(f"content:{name}")
    if found is None:
        raise NotFound("there is no such slot", "publish content/NAME.toml: troth apply")
    return onsite.read_slot(name, found.label, found.data)


def slots(opened: Workspace) -> list[tuple[str, onsite.Slot | None, str]]:
    """Return every published slot by name; None and why where the draft does not read."""
    out: list[tuple[str, onsite.Slot | None, str]] = []
    with opened.store.look() as view:
        names = sorted({p.name.partition(":")[2] for p in view.published_all("content:")})
        for name in names:
            try:
                out.append((name, slot(view, name), ""))
            except Fault as fault:
                out.append((name, None, fault.message))
    return out


def settings_of(opened: Workspace) -> tuple[Place, str]:
    """Return the place, or an empty one and what is wrong with it."""
    try:
        return place(opened), ""
    except InvalidInput as fault:
        return Place(()), fault.message


def shown_at(found: onsite.Slot, opens: frozenset[str]) -> onsite.Shown:
    """Return a slot with invented values, as whoever agreed to these categories would see it."""
    values = {
        name: value for name, value in onsite.SAMPLE.items() if onsite.category_of(name) in opens
    }
    return onsite.choose(found, opens, values)
