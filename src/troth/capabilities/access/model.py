"""The values of signing in: limits, what an office needs, what became of an attempt."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from troth.kernel.desk import Desk
from troth.ports import Clock, Passkeys, SigninStore
from troth.terms import Account, Actor, Instant

Method = Literal["passkey", "totp", "recovery", "oidc", "oidc_again"]
Ways = Literal["own", "provider"]
"""Whether staff may prove themselves here, or at the house's identity provider alone."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Lengths and patience, from `data/signin.toml`; durations in microseconds unless named.

    Attributes:
        waits: How long to wait after the first, second, … attempt without success.
        all_per_minute: Attempts a minute of everybody together.
        key_days: An API key's life in days, if nothing else is said.
    """

    session: int
    idle: int
    fresh: int
    invite: int
    digits: int
    period_seconds: int
    drift_steps: int
    recovery_count: int
    waits: tuple[int, ...]
    all_per_minute: int
    passkey_wait: int
    passkeys_most: int
    key_days: int
    key_most_days: int


@dataclass(frozen=True, slots=True)
class Office:
    """What signing in needs, chosen by `app`.

    Attributes:
        clock: The machine's own clock, whatever the workspace's says.
        listed: Role → ids of its staff, from `troth.toml`.
        secret: Keys digests, seals and codes of accounts; derived, kept in no file of its own.
        title: The house, as authenticator apps show it.
        ways: With "provider" only IT's recovery codes still open anything here.
    """

    desk: Desk
    store: SigninStore
    passkeys: Passkeys
    clock: Clock
    listed: Mapping[str, list[str]]
    limits: Limits
    secret: bytes
    title: str
    ways: Ways = "own"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Somebody who proved who they are."""

    actor: Actor
    account: Account
    method: Method


@dataclass(frozen=True, slots=True)
class Invited:
    """An open invitation, as its link shows it."""

    actor: Actor
    account: Account
    digest: bytes


@dataclass(frozen=True, slots=True)
class Member:
    """A member of staff as the list shows them.

    Attributes:
        state: none, invited, active or suspended.
        ways: How they may sign in: passkey, totp.
        last: When they last signed in; 0 never.
        codes: Recovery codes left.
    """

    actor: Actor
    state: str
    ways: tuple[str, ...]
    last: Instant
    codes: int
