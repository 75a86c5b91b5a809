"""Staff: the office where they sign in, wired; how many of them could see what."""

import tomllib
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from troth import crypto
from troth.adapters.passkeys import WebAuthn
from troth.adapters.sqlite.keys import FileKeyStore
from troth.adapters.system import SystemClock
from troth.app.oidc import provider
from troth.capabilities import access
from troth.ports import Clock, SigninStore
from troth.settings import Settings
from troth.terms import SECOND, Action, Actor, Claim, UseRequest

if TYPE_CHECKING:
    from troth.app.workspace import Workspace


def office(opened: "Workspace", clock: Clock | None = None) -> access.Office:
    """Return where staff sign in; by the machine's own clock, also where the record's stands."""
    named = provider(opened.settings)
    return access.Office(
        opened.desk,
        opened.signin,
        WebAuthn(opened.settings.title),
        clock or SystemClock(),
        opened.settings.staff,
        limits(),
        _secret(opened.keys),
        opened.settings.title,
        "provider" if named is not None and named.mode == "only" else "own",
    )


def known_staff(
    settings: Settings, store: SigninStore, keys: FileKeyStore
) -> Callable[[Actor], bool]:
    """Return what the staff policy asks about an actor; suspending somebody binds at once."""
    return access.knows(settings.staff, store, _secret(keys), SystemClock())


def _secret(keys: FileKeyStore) -> bytes:
    return crypto.hkdf(keys.secret("staff"), b"troth/access")


@cache
def limits() -> access.Limits:
    """Return the lengths and limits of signing in, as shipped."""
    read = tomllib.loads((files("troth") / "data/signin.toml").read_text("utf-8"))
    hour, minute = 3600 * SECOND, 60 * SECOND
    return access.Limits(
        session=read["session"]["hours"] * hour,
        idle=read["session"]["idle_minutes"] * minute,
        fresh=read["session"]["fresh_minutes"] * minute,
        invite=read["invite"]["hours"] * hour,
        digits=read["codes"]["digits"],
        period_seconds=read["codes"]["period_seconds"],
        drift_steps=read["codes"]["drift_steps"],
        recovery_count=read["recovery"]["count"],
        waits=tuple(seconds * SECOND for seconds in read["attempts"]["wait_seconds"]),
        all_per_minute=read["attempts"]["all_per_minute"],
        passkey_wait=read["passkey"]["minutes"] * minute,
        passkeys_most=read["passkey"]["most"],
        key_days=read["key"]["days"],
        key_most_days=read["key"]["most_days"],
    )


def exposure(opened: "Workspace", category: str) -> tuple[int, int]:
    """Count the staff who could read a category, in full and masked, asked of the claim itself.

    Returns:
        Those to whom some purpose shows it in full; those to whom it is shown masked only.
    """
    full = masked = 0
    for actor in access.everybody(office(opened)):
        seen = _seen(opened, actor, category)
        full += "full" in seen
        masked += bool(seen - {"null"}) and "full" not in seen
    return full, masked


def _seen(opened: "Workspace", actor: Actor, category: str) -> frozenset[str]:
    desk, found = opened.desk, set()
    with desk.store.look() as view:
        house = desk.house(view)
        for purpose in house.purposes:
            for action in (Action.READ, Action.EXPORT):
                asked = UseRequest(
                    actor, None, purpose, action, None, frozenset({category}), view.now
                )
                claim = desk.claim(asked, house)
                if isinstance(claim, Claim):
                    found.add(str(claim.categories[category]))
    return frozenset(found)
