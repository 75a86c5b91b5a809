"""One frozen value of settings, read once from `troth.toml`; secrets only by reference."""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from troth.errors import InvalidInput, NotFound, Unavailable

_ORIGIN = re.compile(r"https://[a-z0-9.-]{1,250}(:[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Settings:
    """Where a workspace keeps things and how it sends; everything else is published.

    Attributes:
        origin: Name of the ledger, fixed by `init`: `<domain>/ledger`.
        staff: Role → ids of its staff.
        relay_host: The mail relay.
        console_url: Where staff reach the console from other machines, `https://HOST`; "" where
            they work on this machine only.
        site: The `[site]` table as written: the shop's own origins; see `app.site`.
        channels: The `[channels.CHANNEL]` tables as written: who delivers; see `app.channels`.
        connections: The `[connections.NAME]` tables as written; see `app.connections`.
        storage: The `[storage]` table as written: where the record lies, and for how long its
            backups are kept; see `app.documents`.
        sources: The `[sources.NAME]` tables as written: databases and folders that are not ours
            to write; see `app.scans`.
        witnesses: The `[witnesses.NAME]` tables as written; see `capabilities.custody.trust`.
        ledger: The `[ledger]` table as written: the quorum.
        key_care: The `[keys]` table: who holds the keys, and for how long; see `app.keys`.
    """

    folder: Path
    brand: str
    domain: str
    origin: str
    from_name: str
    from_address: str
    list_id: str
    base_url: str
    zone: str
    relay_host: str
    relay_port: int
    relay_security: Literal["none", "starttls", "tls"]
    staff: Mapping[str, list[str]] = field(default_factory=dict)
    title: str = ""
    postal: str = ""
    console_url: str = ""
    site: Mapping[str, Any] = field(default_factory=dict)
    channels: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    connections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    storage: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    witnesses: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    ledger: Mapping[str, Any] = field(default_factory=dict)
    signin: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    key_care: Mapping[str, Any] = field(default_factory=dict)

    @property
    def record(self) -> Path:
        """The record's file."""
        return self.folder / "data" / "record.db"

    @property
    def reach(self) -> Path:
        """Folder of the audience generations."""
        return self.folder / "data" / "reach"

    @property
    def keys(self) -> Path:
        """The key folder, never under a backed-up path."""
        return self.folder / "keys"

    @property
    def witness(self) -> Path:
        """Journal and last signed size, meant to be copied off the machine."""
        return self.folder / "witness"


def read_settings(folder: Path) -> Settings:
    """Read `troth.toml` of a workspace.

    Raises:
        NotFound: There is no workspace here.
        InvalidInput: The file does not read, or a needed key is missing or malformed; names
            section and key.
    """
    path = folder / "troth.toml"
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise NotFound(
            "there is no workspace here", "run: troth init DIR, or go to its folder"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise InvalidInput(f"troth.toml: {fault}", "correct the file") from None
    except OSError:
        raise InvalidInput("troth.toml cannot be read", "check owner and mode") from None
    return _settings(folder, values)


def _settings(folder: Path, values: Mapping[str, Any]) -> Settings:
    house, mail = _table(values, "house"), _table(values, "mail")
    name, brand = _brand(values)
    place = f"brands.{name}"
    domain = _text(brand, place, "domain")
    host, port = _relay(mail)
    return Settings(
        folder=folder,
        brand=name,
        domain=domain,
        origin=f"{domain}/ledger",
        from_name=_text(brand, place, "from_name"),
        from_address=_text(brand, place, "from_address"),
        list_id=_text(brand, place, "list_id"),
        base_url=_text(brand, place, "base_url", f"https://my.{domain}"),
        zone=_zone(house),
        relay_host=host,
        relay_port=port,
        relay_security=_security(mail),
        staff=_staff(values),
        title=_text(brand, place, "title", name),
        postal=_text(house, "house", "address", ""),
        console_url=_console(values),
        site=_table(values, "site", needed=False),
        channels=_tables(values, "channels"),
        connections=_tables(values, "connections"),
        storage=_storage(values),
        sources=_sources(values),
        witnesses=_tables(values, "witnesses"),
        ledger=_table(values, "ledger", needed=False),
        signin=_tables(values, "signin"),
        key_care=_table(values, "keys", needed=False),
    )


def _wrong(section: str, said: str) -> InvalidInput:
    """Name the section and what is wrong in it, never a value."""
    return InvalidInput(f"troth.toml: [{section}] {said}", "compare with docs/workspace.md")


def _table(values: Mapping[str, Any], name: str, *, needed: bool = True) -> Mapping[str, Any]:
    held = values.get(name, {})
    if not isinstance(held, dict):
        raise _wrong(name, "is no table")
    if needed and name not in values:
        raise _wrong(name, "is missing")
    return held


def _tables(values: Mapping[str, Any], name: str) -> dict[str, Mapping[str, Any]]:
    """Read a table of tables, such as `[channels.sms]`."""
    held = _table(values, name, needed=False)
    return {inner: _inner(held, name, inner) for inner in held}


def _inner(held: Mapping[str, Any], name: str, inner: str) -> Mapping[str, Any]:
    if not isinstance(held[inner], dict):
        raise _wrong(name, f"holds {inner}, which is no table")
    return dict(held[inner])


def _brand(values: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return the first brand: the one that sends."""
    for name, brand in _tables(values, "brands").items():
        return name, brand
    raise _wrong("brands.NAME", "is missing: name the brand that sends")


def _text(table: Mapping[str, Any], section: str, key: str, default: str | None = None) -> str:
    value = table.get(key, default)
    if value is None:
        raise _wrong(section, f"has no {key}")
    if not isinstance(value, str):
        raise _wrong(section, f"{key} is no text: write it in quotes")
    return value


def _zone(house: Mapping[str, Any]) -> str:
    zone = _text(house, "house", "zone")
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _wrong("house", "zone is no time zone: write Africa/Johannesburg, say") from None
    return zone


def _relay(mail: Mapping[str, Any]) -> tuple[str, int]:
    host, _, port = _text(mail, "mail", "relay").rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 1 << 16:
        raise _wrong("mail", "relay is no HOST:PORT: write localhost:25, say")
    return host, int(port)


def _staff(values: Mapping[str, Any]) -> dict[str, list[str]]:
    roles = _table(values, "roles", needed=False)
    for role, ids in roles.items():
        if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
            raise _wrong("roles", f'{role} is no list of ids: write ["name@brand.example"]')
    return {role: list(ids) for role, ids in roles.items()}


def _storage(values: Mapping[str, Any]) -> Mapping[str, Any]:
    held = _table(values, "storage", needed=False)
    for key in ("country", "system", "transfer"):
        _text(held, "storage", key, "")
    days = held.get("backup_days", 0)
    if type(days) is not int or days < 0:
        raise _wrong("storage", "backup_days is no whole number: write 30, say")
    return held


_SOURCE = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")
_SOURCE_TEXTS = ("kind", "path", "env", "mapping", "title", "country", "processor", "owner")
_SOURCE_KEYS = frozenset({*_SOURCE_TEXTS, "every_days", "rows", "regions"})


def _sources(values: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Read `[sources.NAME]`: how a source is reached never stands here, only where that stands."""
    found = _tables(values, "sources")
    for name, said in found.items():
        place = f"sources.{name}" if _SOURCE.fullmatch(name) else "sources"
        if place == "sources":
            raise _wrong(place, "holds a name that is not a-z, 0-9, - and _")
        if said.keys() - _SOURCE_KEYS:
            raise _wrong(place, "holds a key that is not known; no secret stands in this file")
        for key in _SOURCE_TEXTS:
            _text(said, place, key, "")
        for key in ("every_days", "rows"):
            if type(said.get(key, 1)) is not int or not 0 < said.get(key, 1) <= _SOURCE_MAX:
                raise _wrong(place, f"{key} is no whole number from 1 to {_SOURCE_MAX}")
    return found


_SOURCE_MAX = 10_000


def source_secret(settings: Settings, name: str) -> str:
    """Return how a source is reached: from the environment if it names a variable, else a file.

    Raises:
        Unavailable: It is nowhere; says where it belongs, never what stands there.
    """
    variable = str(settings.sources.get(name, {}).get("env", ""))
    if variable:
        found = environment(variable) or ""
    else:
        path = settings.keys / "sources" / name
        found = path.read_text("utf-8") if path.is_file() else ""
    if not found.strip():
        where = f"the variable {variable}" if variable else f"keys/sources/{name}"
        raise Unavailable(f"how to reach the source {name} is not known", f"put it into {where}")
    return found.strip()


def _console(values: Mapping[str, Any]) -> str:
    url = _text(_table(values, "console", needed=False), "console", "url", "")
    if url and not _ORIGIN.fullmatch(url):
        raise _wrong("console", "url begins with https:// and ends with the host")
    return url


def _security(mail: Mapping[str, Any]) -> Literal["none", "starttls", "tls"]:
    match _text(mail, "mail", "security", "none"):
        case "none":
            return "none"
        case "starttls":
            return "starttls"
        case "tls":
            return "tls"
    raise _wrong("mail", "security is one of none, starttls and tls")


def environment(name: str) -> str | None:
    """Return a variable of the environment; settings name it, nothing else reads one."""
    return os.environ.get(name)  # noqa: TID251 - the one place
