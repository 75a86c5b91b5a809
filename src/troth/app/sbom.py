"""A bill of materials of what runs here: CycloneDX 1.6, made from what is installed.

Read from the metadata of the installed distributions, so that it tells what is there and not what
a file of wishes names. Follows what Troth requires, through every extra that is installed.
"""

import platform
import sqlite3
from collections.abc import Iterator
from importlib import metadata
from typing import Any, Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from troth import crypto
from troth.terms import Instant, zulu

SPEC: Final = "1.6"
ROOT: Final = "troth"


def bill(at: Instant) -> dict[str, Any]:
    """Return the bill of materials as a JSON value; some 50 components, 100 ms, repeatable.

    Args:
        at: The moment it is made; all else depends on what is installed alone.
    """
    found = dict(sorted(_closure()))
    root = found.pop(ROOT, None)
    parts = [_component(dist) for dist in found.values()]
    native = [
        _native("sqlite", sqlite3.sqlite_version, "public-domain"),
        _native("openssl", crypto.openssl_version(), "Apache-2.0"),
        _native("cpython", platform.python_version(), "PSF-2.0"),
    ]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": SPEC,
        "version": 1,
        "metadata": {
            "timestamp": zulu(at),
            "component": {
                "type": "application",
                "bom-ref": ROOT,
                "name": ROOT,
                "version": root.version if root else "0",
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            },
        },
        "components": [*parts, *native],
        "dependencies": [
            {"ref": _ref(name, dist), "dependsOn": _needs(dist, found)}
            for name, dist in ({ROOT: root} | found if root else found).items()
        ],
    }


def _closure() -> Iterator[tuple[str, metadata.Distribution]]:
    """Yield every installed distribution Troth needs, itself first; each once."""
    todo, seen = [ROOT], set[str]()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            dist = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        yield name, dist
        todo += _required(dist)


def _required(dist: metadata.Distribution) -> list[str]:
    out: list[str] = []
    for line in dist.requires or ():
        try:
            wanted = Requirement(line)
        except InvalidRequirement:
            continue
        extras = ("", *(dist.metadata.get_all("Provides-Extra") or ()))
        if wanted.marker is None or any(wanted.marker.evaluate({"extra": x}) for x in extras):
            out.append(str(canonicalize_name(wanted.name)))
    return out


def _ref(name: str, dist: metadata.Distribution) -> str:
    return ROOT if name == ROOT else f"pkg:pypi/{name}@{dist.version}"


def _needs(dist: metadata.Distribution, found: dict[str, metadata.Distribution]) -> list[str]:
    named = {name for name in _required(dist) if name in found}
    return sorted(_ref(name, found[name]) for name in named)


def _component(dist: metadata.Distribution) -> dict[str, Any]:
    name = canonicalize_name(dist.metadata["Name"])
    told = _told(dist, "License-Expression") or _told(dist, "License")
    first = told.strip().splitlines()[0][:120] if told.strip() else ""
    made: dict[str, Any] = {
        "type": "library",
        "bom-ref": _ref(name, dist),
        "name": name,
        "version": dist.version,
        "purl": f"pkg:pypi/{name}@{dist.version}",
    }
    if first:
        made["licenses"] = [{"license": {"name": first}}]
    return made


def _told(dist: metadata.Distribution, key: str) -> str:
    return str((dist.metadata.get_all(key) or [""])[0])


def _native(name: str, version: str, licence: str) -> dict[str, Any]:
    """Name a part that no Python package brings, as this process has it loaded."""
    return {
        "type": "library" if name != "cpython" else "platform",
        "bom-ref": f"pkg:generic/{name}@{version}",
        "name": name,
        "version": version,
        "purl": f"pkg:generic/{name}@{version}",
        "licenses": [{"license": {"name": licence}}],
    }
