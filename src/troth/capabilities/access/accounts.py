"""Accounts of staff: invited, enrolled, suspended, restored, reset; each act an event first."""

from troth import crypto
from troth.capabilities.access import rules
from troth.capabilities.access.model import Invited, Member, Method, Office, SignedIn
from troth.errors import Conflict, InvalidInput, NotFound
from troth.kernel import events
from troth.kernel.vault import lp
from troth.terms import Account, Actor, Instant, Passkey, Role, Site

TOKEN_BYTES = 16
SECRET_BYTES = 20
HANDLE_BYTES = 16
SALT_BYTES = 16
_OVER = ("this link is over", "ask who invited you for a new one")


def note(office: Office, act: str, account: str, by: Actor, method: str | None = None) -> None:
    """Book what happens to an account in the house chain, before it happens."""
    office.desk.record_house(events.StaffActed(act, account, method), by)


def spelt(office: Office, actor: Actor) -> str:
    """Name an account as events do: role and keyed digest."""
    return office.desk.scribe.actor(actor, office.desk.scribe.house)


def key_of(office: Office, actor: Actor) -> bytes:
    """Return the digest an account is kept under."""
    return rules.account_key(office.secret, actor.role, actor.id)


def everybody(office: Office) -> list[Actor]:
    """Return all staff listed in `troth.toml`, by role."""
    own = {Role.SYSTEM.value, Role.PERSON.value}
    known = {role.value for role in Role} - own
    return [
        Actor(Role(role), name)
        for role, ids in office.listed.items()
        if role in known
        for name in ids
    ]


def holder(office: Office, key: bytes) -> Actor | None:
    """Return whose account this is; None once they are not listed any more."""
    return next((who for who in everybody(office) if key_of(office, who) == key), None)


def members(office: Office) -> list[Member]:
    """Return everybody listed, with the state of their account."""
    return [_member(office, actor) for actor in everybody(office)]


def _member(office: Office, actor: Actor) -> Member:
    key = key_of(office, actor)
    found = office.store.account(key)
    if found is None:
        return Member(actor, "none", (), Instant(0), 0)
    ways = ["passkey"] if any(p.state == "good" for p in office.store.passkeys(key)) else []
    ways += ["totp"] if found.totp else []
    ways += ["oidc"] if office.store.bound(key) else []
    codes = len(office.store.codes(key))
    return Member(actor, found.state, tuple(ways), Instant(found.last), codes)


def _listed(office: Office, who: Actor) -> bytes:
    if who not in everybody(office):
        raise NotFound("nobody of this role and id is listed", "add them under [roles] first")
    return key_of(office, who)


def _account(office: Office, who: Actor) -> Account:
    found = office.store.account(_listed(office, who))
    if found is None:
        raise NotFound("they have no account yet", "invite them")
    return found


def invite(office: Office, who: Actor, by: Actor) -> str:
    """Open an account, or a new link to one that was never used; return the link's token.

    Raises:
        NotFound: They are not listed in `troth.toml`.
        Conflict: The account is in use, or suspended, or nobody signs in by a link here.
    """
    if office.ways != "own":
        raise Conflict("staff sign in by your identity provider", "no link is needed: /signin")
    key = _listed(office, who)
    found = office.store.account(key)
    if found is not None and found.state != "invited":
        what = "reset" if found.state == "active" else "restore"
        raise Conflict("they have an account already", f"{what} it")
    note(office, "invited", spelt(office, who), by)
    handle = office.desk.randomness.take(HANDLE_BYTES)
    office.store.add_account(Account(key, "invited", handle))
    return _link(office, key)


def _link(office: Office, key: bytes) -> str:
    token = office.desk.randomness.take(TOKEN_BYTES).hex()
    until = Instant(office.clock.now() + office.limits.invite)
    office.store.put_invite(crypto.sha256(token.encode()), key, until)
    return token


def read_invite(office: Office, token: str) -> Invited:
    """Return what an open link is for; reading changes nothing.

    Raises:
        NotFound: It was used, is too old, was replaced, or never was: all the same to a stranger.
    """
    digest = crypto.sha256(token.encode("utf-8", "replace"))
    key = office.store.invite(digest, office.clock.now())
    account = office.store.account(key) if key else None
    actor = holder(office, key) if key else None
    if account is None or actor is None or account.state != "invited" or office.ways != "own":
        raise NotFound(*_OVER)
    return Invited(actor, account, digest)


def enrol_secret(office: Office, invited: Invited) -> bytes:
    """Return the secret this link offers: the same at each look, kept nowhere until it is used."""
    return crypto.hkdf(office.secret, b"enrol" + invited.digest, SECRET_BYTES)


def enrol_code(office: Office, invited: Invited, given: str) -> tuple[SignedIn, list[str]]:
    """Enrol by one-time codes; return the sign-in and the recovery codes, shown this once.

    Raises:
        InvalidInput: The code is not of this secret and time; the link stays open.
        NotFound: The link was used meanwhile.
    """
    secret = enrol_secret(office, invited)
    step = rules.matching_step(secret, given.strip(), office.clock.now(), office.limits)
    if not step:
        raise InvalidInput("this code does not fit", "check your phone's clock; take the next one")
    _spend(office, invited, "totp")
    office.store.set_totp(invited.account.key, sealed_secret(office, invited.account, secret))
    office.store.spend_step(invited.account.key, step)
    return _begun(office, invited, "totp")


def enrol_passkey(
    office: Office, invited: Invited, site: Site, challenge: bytes, answer: str
) -> tuple[SignedIn, list[str]]:
    """Enrol by a passkey; as `enrol_code`."""
    ident, public, count = office.passkeys.created(site, challenge, answer)
    if office.store.passkey(ident) is not None:
        raise InvalidInput("this passkey is in use already", "make a new one")
    _spend(office, invited, "passkey")
    key, now = invited.account.key, office.clock.now()
    office.store.put_passkey(Passkey(ident, key, public, count, now, now))
    return _begun(office, invited, "passkey")


def _spend(office: Office, invited: Invited, method: Method) -> None:
    if not office.store.spend_invite(invited.digest, office.clock.now()):
        raise NotFound(*_OVER)
    note(office, "enrolled", spelt(office, invited.actor), invited.actor, method)


def _begun(office: Office, invited: Invited, method: Method) -> tuple[SignedIn, list[str]]:
    key = invited.account.key
    office.store.move(key, "invited", "active")
    codes = _draw_codes(office, key)
    office.store.enter(key, office.clock.now())
    found = office.store.account(key)
    if found is None or found.state != "active":
        raise NotFound(*_OVER)
    return SignedIn(invited.actor, found, method), codes


def _draw_codes(office: Office, key: bytes) -> list[str]:
    take = office.desk.randomness.take
    drawn = [take(rules.CODE_BYTES) for _ in range(office.limits.recovery_count)]
    kept = []
    for raw in drawn:
        salt = take(SALT_BYTES)
        kept.append((salt, rules.recovery_hash(office.secret, salt, raw)))
    office.store.put_codes(key, kept)
    return [rules.recovery_code(raw) for raw in drawn]


def new_codes(office: Office, who: Actor) -> list[str]:
    """Replace somebody's recovery codes at their own wish; return the new ones, shown once."""
    key = _account(office, who).key
    note(office, "codes_made", spelt(office, who), who)
    return _draw_codes(office, key)


def add_passkey(office: Office, who: Actor, site: Site, challenge: bytes, answer: str) -> None:
    """Add a passkey to one's own account.

    Raises:
        InvalidInput: It does not hold, is known already, or there are too many.
    """
    key = _account(office, who).key
    ident, public, count = office.passkeys.created(site, challenge, answer)
    held = office.store.passkeys(key)
    if len(held) >= office.limits.passkeys_most or office.store.passkey(ident) is not None:
        raise InvalidInput("no further passkey was added", "delete one you do not use")
    note(office, "passkey_added", spelt(office, who), who, "passkey")
    now = office.clock.now()
    office.store.put_passkey(Passkey(ident, key, public, count, now, 0))


def drop_passkey(office: Office, who: Actor, ident: bytes) -> None:
    """Delete one's own passkey; the last way to sign in stays.

    Raises:
        Conflict: It is the last way but recovery codes.
    """
    account = _account(office, who)
    working = [p for p in office.store.passkeys(account.key) if p.state == "good"]
    other = account.totp or office.store.bound(account.key)
    if not other and [p.id for p in working] == [ident]:
        raise Conflict("this is your only way to sign in", "add another passkey first")
    note(office, "passkey_dropped", spelt(office, who), who, "passkey")
    office.store.drop_passkey(account.key, ident)


def suspend(office: Office, who: Actor, by: Actor) -> None:
    """Stop an account at once: every session, every door, every claim in their name.

    Raises:
        NotFound: They are not listed.
    """
    key = _listed(office, who)
    note(office, "suspended", spelt(office, who), by)
    office.store.add_account(Account(key, "invited", office.desk.randomness.take(HANDLE_BYTES)))
    for state in ("active", "invited", "active"):  # who signs in meanwhile moves to active once
        office.store.move(key, state, "suspended")
    office.store.next_round(key)  # also of who was suspended: the directory may not undo this one


def restore(office: Office, who: Actor, by: Actor) -> None:
    """Let a suspended account sign in again, by the ways it had.

    Raises:
        NotFound: They are not listed, or have no account.
        Conflict: It is not suspended.
    """
    account = _account(office, who)
    if account.state != "suspended":
        raise Conflict("this account is not suspended", "nothing was changed")
    note(office, "restored", spelt(office, who), by)
    ways = account.totp or office.store.passkeys(account.key) or office.store.bound(account.key)
    office.store.move(account.key, "suspended", "active" if ways else "invited")


def reset(office: Office, who: Actor, by: Actor) -> str:
    """Delete every way to sign in, end every session, and return a new link's token.

    Raises:
        NotFound: They are not listed, or have no account.
        Conflict: The account is suspended.
    """
    account = _account(office, who)
    if account.state == "suspended":
        raise Conflict("this account is suspended", "restore it first")
    note(office, "reset", spelt(office, who), by)
    office.store.forget(account.key)
    office.store.move(account.key, "active", "invited")
    return _link(office, account.key)


def end_sessions(office: Office, who: Actor) -> None:
    """Sign somebody out everywhere, at their own wish."""
    account = _account(office, who)
    note(office, "signed_out", spelt(office, who), who)
    office.store.next_round(account.key)


def sealed_secret(office: Office, account: Account, secret: bytes) -> bytes:
    """Seal a secret of one-time codes to its account."""
    nonce = office.desk.randomness.take(crypto.NONCE_BYTES)
    return nonce + _box(office).seal(nonce, secret, lp(b"totp", account.key))


def opened_secret(office: Office, account: Account) -> bytes:
    """Open what `sealed_secret` sealed.

    Raises:
        EvidenceBroken: It is of another account or key.
    """
    nonce, sealed = account.totp[: crypto.NONCE_BYTES], account.totp[crypto.NONCE_BYTES :]
    return _box(office).open(nonce, sealed, lp(b"totp", account.key))


def _box(office: Office) -> crypto.Aead:
    return crypto.Aead(crypto.hkdf(office.secret, b"totp"))
