"""The house as published: drafts' bytes in, the values decisions rest on out.

Published names: `house` (troth.toml), `purpose:NAME`, `regime:NAME`, `calendar:NAME`,
`notice:NAME@VERSION`, `registry:REGIME`, `waiver:REGIME`, `restore`. Only published bytes count.
"""

import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from troth.errors import InvalidInput
from troth.kernel import regimes
from troth.kernel.facts import House
from troth.kernel.looking import read_looks
from troth.kernel.predicates import PREDICATES
from troth.kernel.purposes import lineage, tree_of, within
from troth.terms import (
    SECOND,
    Instant,
    Published,
    Purpose,
    PurposeKind,
    Registry,
    from_zulu,
)

RESTORE = "restore"
"""What the newest restore found out about the restriction journal, published by it alone."""


def parse_toml(name: str, raw: bytes) -> dict[str, Any]:
    """Read a TOML draft; a broken one names file, place and remedy."""
    try:
        return tomllib.loads(raw.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise InvalidInput(f"{name}: {fault}", "correct the file, then run: troth check") from None


def read_purpose(name: str, raw: bytes) -> Purpose:
    """Read a purpose draft.

    Raises:
        InvalidInput: A key is missing, unknown or of the wrong kind; names file and key.
    """
    values = parse_toml(f"purposes/{name}.toml", raw)
    unknown = values.keys() - set(Purpose.__slots__)
    if unknown:
        raise InvalidInput(f"purposes/{name}.toml: unknown key {min(unknown)}", "remove it")
    try:
        purpose = msgspec.convert(values, Purpose)
    except msgspec.ValidationError as fault:
        raise InvalidInput(f"purposes/{name}.toml: {fault}") from None
    if purpose.name != name:
        raise InvalidInput(f"purposes/{name}.toml names another purpose", "rename one of them")
    return purpose


def _newest(published: Iterable[Published], prefix: str) -> dict[str, Published]:
    return {p.name.removeprefix(prefix): p for p in published if p.name.startswith(prefix)}


def newest_purposes(drafts: Iterable[Published], at: Instant) -> dict[str, Purpose]:
    """Return every purpose as it was published at an instant; `drafts` oldest first."""
    then = [p for p in drafts if p.at < at + SECOND]  # events carry whole seconds
    return {name: read_purpose(name, p.data) for name, p in _newest(then, "purpose:").items()}


def read_ruleset(published: Iterable[Published]) -> regimes.Ruleset:
    """Load the published regimes and calendars."""
    every = list(published)
    files = {f"{n}.toml": p.data for n, p in _newest(every, "regime:").items()}
    calendars = {f"{n}.toml": p.data for n, p in _newest(every, "calendar:").items()}
    return regimes.load(files, calendars, PREDICATES)


def read_house(
    version: int, published: Iterable[Published], shipped: Mapping[str, Any] | None = None
) -> House:
    """Build the house of one version from everything published, oldest first.

    Costs some milliseconds; keep it per house version. `shipped` holds what `[access]` says where
    the house says nothing.

    Raises:
        InvalidInput: Nothing is published yet, or a published draft does not read.
    """
    every = list(published)
    house = next((p for p in reversed(every) if p.name == "house"), None)
    if house is None:
        raise InvalidInput("nothing is published yet", "run: troth apply")
    values = parse_toml("troth.toml", house.data)
    party = values.get("house", {})
    purposes = {name: read_purpose(name, p.data) for name, p in _newest(every, "purpose:").items()}
    labels = frozenset(c for p in purposes.values() for c in p.categories)
    return House(
        version=version,
        seat=party.get("seat", ""),
        zone=party.get("zone", "UTC"),
        purposes=purposes,
        ruleset=read_ruleset(every),
        labels=labels,
        special=frozenset(values.get("special", {}).get("categories", ())),
        levels=_levels(values.get("levels", {})),
        material=_material(every),
        caps=_caps(values.get("limits", {})),
        registries=_registries(every),
        unsure_before=_unsure(every),
        looks=read_looks(shipped or {}, values.get("access", {})),
        prohibited=_prohibited(values.get("labels", {}), purposes),
    )


def _prohibited(
    table: Mapping[str, Any], purposes: Mapping[str, Purpose]
) -> dict[str, frozenset[str]]:
    """Read `[labels."CATEGORY"] prohibited = [PURPOSE, …]`; a word nobody knows does not load."""
    known = {c for p in purposes.values() for c in p.categories}
    out = {}
    for label, row in table.items():
        named = row.get("prohibited") if isinstance(row, Mapping) and len(row) == 1 else None
        if not isinstance(named, list) or not all(isinstance(each, str) for each in named):
            raise InvalidInput(
                f'troth.toml: [labels."{label}"] says more or less than prohibited',
                'write prohibited = ["PURPOSE"]',
            )
        if not any(within(category, label) for category in known):
            raise InvalidInput(
                f'troth.toml: [labels."{label}"] is a category of no purpose', "correct the name"
            )
        for name in named:
            if not lineage(name, tree_of(purposes.values())):
                raise InvalidInput(
                    f'troth.toml: [labels."{label}"] prohibits {name}, which is no purpose',
                    "name a published purpose whose parents exist",
                )
        out[label] = frozenset(named)
    return out


def _unsure(published: list[Published]) -> int:
    """Return up to when nobody knows what was withdrawn: said by the newest restore."""
    said = next((p for p in reversed(published) if p.name == RESTORE), None)
    return int(msgspec.json.decode(said.data)["unsure_before"]) if said else 0


def _levels(table: Mapping[str, Iterable[str]]) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(table.get(str(k), ())) for k in range(6))


def _material(published: Iterable[Published]) -> dict[str, int]:
    """Return per notice the oldest version that is still good: the newest material change."""
    oldest: dict[str, int] = {}
    for draft in published:
        if draft.name.startswith("notice:"):
            notice = msgspec.json.decode(draft.data)
            name, version = notice["name"], notice["version"]
            oldest.setdefault(name, 1)
            if notice["material"]:
                oldest[name] = max(oldest[name], version)
    return oldest


def _caps(limits: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    unknown = limits.keys() - _LIMITS
    if unknown:
        raise InvalidInput(
            f"troth.toml: [limits] has no {min(unknown)}",
            f"use one of {', '.join(sorted(_LIMITS))}",
        )
    count = limits.get("marketing_per_30_days")
    if count is None:
        return {}
    if type(count) is not int or count < 0:
        raise InvalidInput("troth.toml: marketing_per_30_days is no whole number", "write 4, say")
    return {PurposeKind.MARKETING: (count, 30)}


_LIMITS = frozenset({"marketing_per_30_days", "segment_k", "segment_k_outside", "silent_days"})


def _registries(published: list[Published]) -> dict[str, Registry]:
    out: dict[str, Registry] = {}
    waivers = _newest(published, "waiver:")
    files = _newest(published, "registry:")
    for name in waivers.keys() | files.keys():
        file = msgspec.json.decode(files[name].data) if name in files else {}
        waiver = msgspec.json.decode(waivers[name].data) if name in waivers else {}
        out[name] = Registry(
            cleansed_at=_at(file.get("as_of")),
            usable=bool(file.get("usable", False)) if file else False,
            waived_from=_at(waiver.get("since")),
            waived_until=_at(waiver.get("until")),
            decision=waivers[name].label if name in waivers else "",
        )
    return out


def _at(text: str | None) -> Instant:
    return from_zulu(text) if text else Instant(0)


def notices_by_purpose(published: Iterable[Published]) -> dict[str, frozenset[str]]:
    """Return per purpose the `name@version` of every notice version that speaks of it."""
    out: dict[str, set[str]] = {}
    for draft in published:
        if draft.name.startswith("notice:"):
            notice = msgspec.json.decode(draft.data)
            for purpose in notice["purposes"]:
                out.setdefault(purpose, set()).add(draft.name.removeprefix("notice:"))
    return {purpose: frozenset(labels) for purpose, labels in out.items()}
