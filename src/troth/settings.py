"""One frozen value of settings, read once from `troth.toml`; secrets only by reference."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from troth.errors import InvalidInput, NotFound

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
        InvalidInput: The file does not read, or a needed key is missing; names it.
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
    try:
        name, brand = next(iter(values["brands"].items()))
        host, _, port = values["mail"]["relay"].rpartition(":")
        return Settings(
            folder=folder,
            brand=name,
            domain=brand["domain"],
            origin=f"{brand['domain']}/ledger",
            from_name=brand["from_name"],
            from_address=brand["from_address"],
            list_id=brand["list_id"],
            base_url=brand.get("base_url", f"https://my.{brand['domain']}"),
            zone=values["house"]["zone"],
            relay_host=host,
            relay_port=int(port),
            relay_security=_security(values["mail"].get("security", "none")),
            staff=_staff(values),
            title=brand.get("title", name),
            postal=values["house"].get("address", ""),
            console_url=_console(values),
            site=dict(values.get("site", {})),
            channels={name: dict(said) for name, said in values.get("channels", {}).items()},
            connections={name: dict(said) for name, said in values.get("connections", {}).items()},
        )
    except (KeyError, ValueError, StopIteration, AttributeError, TypeError) as fault:
        raise InvalidInput(
            f"troth.toml: {fault} is missing or malformed", "compare with docs/workspace.md"
        ) from None


def _staff(values: Mapping[str, Any]) -> dict[str, list[str]]:
    return {role: list(ids) for role, ids in values.get("roles", {}).items()}


def _console(values: Mapping[str, Any]) -> str:
    url = str(values.get("console", {}).get("url", ""))
    if url and not _ORIGIN.fullmatch(url):
        raise ValueError("console.url, which begins with https:// and ends with the host,")
    return url


def _security(word: str) -> Literal["none", "starttls", "tls"]:
    if word == "none":
        return "none"
    if word == "starttls":
        return "starttls"
    if word == "tls":
        return "tls"
    raise ValueError("mail.security")
