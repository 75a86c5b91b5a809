"""How staff sign in: accounts kept, identities vouched for, passkeys judged."""

from collections.abc import Sequence
from typing import Protocol

from troth.terms import Account, ApiKey, Farewell, Identity, IdentityAsked, Instant, Passkey, Site


class SigninStore(Protocol):
    """Accounts, invitations and API keys of staff, apart from the record; no name in clear."""

    def account(self, key: bytes) -> Account | None:
        """Return an account by its key."""
        ...

    def add_account(self, account: Account) -> None:
        """Add an account; one that exists stays as it is."""
        ...

    def move(self, key: bytes, before: str, after: str) -> bool:
        """Move an account between states and begin a round; False if it was not in `before`."""
        ...

    def next_round(self, key: bytes) -> None:
        """End every session begun so far."""
        ...

    def set_totp(self, key: bytes, sealed: bytes) -> None:
        """Keep the sealed secret of one-time codes; no step of it was used yet."""
        ...

    def enter(self, key: bytes, now: Instant) -> bool:
        """Note a sign-in; False if the account is not active at this moment."""
        ...

    def spend_step(self, key: bytes, step: int) -> bool:
        """Take a time step of one-time codes; False if it or a later one was taken before."""
        ...

    def passkeys(self, key: bytes) -> list[Passkey]:
        """Return the passkeys of an account, oldest first."""
        ...

    def passkey(self, ident: bytes) -> Passkey | None:
        """Return a passkey by the credential's id."""
        ...

    def put_passkey(self, passkey: Passkey) -> None:
        """Add or replace a passkey.

        Raises:
            Conflict: Another account has this credential.
        """
        ...

    def drop_passkey(self, key: bytes, ident: bytes) -> None:
        """Delete a passkey of an account; there being none is fine."""
        ...

    def put_codes(self, key: bytes, codes: Sequence[tuple[bytes, bytes]]) -> None:
        """Replace the recovery codes of an account: salt and hash each."""
        ...

    def codes(self, key: bytes) -> list[tuple[bytes, bytes]]:
        """Return salt and hash of the recovery codes not used yet."""
        ...

    def spend_code(self, key: bytes, hashed: bytes) -> bool:
        """Use a recovery code up; False if it was used before."""
        ...

    def put_invite(self, digest: bytes, key: bytes, until: Instant) -> None:
        """Keep an invitation; earlier ones of the same account end."""
        ...

    def invite(self, digest: bytes, now: Instant) -> bytes | None:
        """Return the account an open invitation is for."""
        ...

    def spend_invite(self, digest: bytes, now: Instant) -> bool:
        """Use an invitation up; False if it is not open any more."""
        ...

    def attempt(self, who: bytes, now: Instant, waits: Sequence[int]) -> tuple[int, int]:
        """Count an attempt before it is judged.

        Args:
            who: Keyed digest of the id that was typed.
            now: The machine's clock.
            waits: Microseconds to wait after the first, second, … attempt without success; the
                last stands for all that follow.

        Returns:
            How many attempts without success there are now, 0 if none may be made yet; and until
            when the next one waits, 0 if it need not.
        """
        ...

    def succeeded(self, who: bytes) -> None:
        """Forget the attempts counted."""
        ...

    def forget(self, key: bytes) -> None:
        """Delete every credential and invitation of an account."""
        ...

    def put_api_key(self, key: ApiKey) -> None:
        """Add an API key, or end one.

        Raises:
            Conflict: Another key that has not ended has this name.
        """
        ...

    def api_key(self, digest: bytes) -> ApiKey | None:
        """Return an API key by its digest."""
        ...

    def api_keys(self) -> list[ApiKey]:
        """Return all API keys, ended ones too, oldest first."""
        ...

    def bound(self, key: bytes) -> bytes:
        """Return the digest of the outside subject an account belongs to, or b""."""
        ...

    def accounts_of(self, subject: bytes) -> list[bytes]:
        """Return the keys of the accounts that belong to an outside subject."""
        ...

    def bind(self, key: bytes, subject: bytes) -> bool:
        """Bind an account to an outside subject; False if it belongs to another already."""
        ...

    def unbind(self, key: bytes) -> None:
        """Let an account belong to nobody outside; so does `forget`."""
        ...

    def put_feed_key(self, digest: bytes, now: Instant, until: Instant) -> None:
        """Keep the digest of the one key the directory's feed is believed by."""
        ...

    def feed_key(self, now: Instant) -> bytes:
        """Return the digest of the feed's key while it lasts, else b""."""
        ...

    def put_due(self, key: bytes, day: str) -> None:
        """Keep the day an account ends, `YYYY-MM-DD`; "" drops it."""
        ...

    def due(self) -> list[tuple[bytes, str]]:
        """Return the accounts whose end is set, earliest day first."""
        ...

    def put_provided(self, who: bytes, made: Instant, mark: int) -> None:
        """Keep whom the directory told of: digest of the id, since when, and its own mark."""
        ...

    def drop_provided(self, who: bytes) -> None:
        """Drop somebody the directory told of; there being none is fine."""
        ...

    def provided(self) -> dict[bytes, tuple[Instant, int]]:
        """Return whom the directory told of: digest of the id → since when, and its mark."""
        ...


class IdentityProvider(Protocol):
    """Whoever else proves who somebody is: OpenID Connect. Keeps nothing about anybody."""

    def ask(self, asked: IdentityAsked) -> str:
        """Return the address a browser is sent to.

        Raises:
            Unavailable: The provider does not answer, or is not who it is said to be.
        """
        ...

    def redeem(self, code: str, asked: IdentityAsked) -> Identity:
        """Turn the code a browser brought back into whom the provider vouches for.

        Raises:
            InvalidInput: It does not hold; the message names which check failed, never a value.
            Unavailable: The provider does not answer.
        """
        ...

    def heard_back(self, issuer: str) -> None:
        """Check who says to have answered, before anything of the answer is believed.

        Raises:
            InvalidInput: Another provider does (RFC 9207).
            Unavailable: The provider does not answer.
        """
        ...

    def farewell(self, token: str) -> Farewell:
        """Read the provider's word that somebody signed out there.

        Raises:
            InvalidInput: It does not hold.
            Unavailable: The provider's keys cannot be fetched.
        """
        ...

    def leave(self, back: str) -> str:
        """Return where a browser signs out at the provider too; "" where it offers none."""
        ...


class Passkeys(Protocol):
    """WebAuthn: what a browser is asked, and whether its answer holds. Keeps nothing."""

    def creation(
        self, site: Site, account: Account, name: str, challenge: bytes, held: Sequence[bytes]
    ) -> str:
        """Return, as JSON, what a browser needs to make a passkey."""
        ...

    def created(self, site: Site, challenge: bytes, answer: str) -> tuple[bytes, bytes, int]:
        """Return credential id, attested public key and signature count.

        Raises:
            InvalidInput: The answer does not hold.
        """
        ...

    def request(self, site: Site, challenge: bytes) -> str:
        """Return, as JSON, what a browser needs to sign in by any passkey of this site."""
        ...

    def named(self, answer: str) -> tuple[bytes, bytes]:
        """Return the credential id and the challenge an answer names; nothing is checked yet.

        Raises:
            InvalidInput: It does not read.
        """
        ...

    def asserted(self, site: Site, challenge: bytes, public: bytes, answer: str) -> int:
        """Return the signature count of an answer that holds.

        Raises:
            InvalidInput: The answer does not hold.
        """
        ...
