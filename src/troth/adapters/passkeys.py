"""WebAuthn by the library `fido2`: what a browser is asked, and whether its answer holds.

A passkey is taken as the whole sign-in, so the authenticator must have verified its holder (PIN,
finger, face). An answer counts only from the very origin that asked: a page elsewhere, and another
port of this machine, cannot pass one on. The library loads when it is first needed.
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from troth.errors import InvalidInput
from troth.terms import Account, Site

if TYPE_CHECKING:
    from fido2.server import Fido2Server

ANSWER_MAX = 20_000
_WRONG = ("this passkey does not fit", "try again, or use another way to sign in")


class WebAuthn:
    """See `ports.Passkeys`."""

    def __init__(self, title: str) -> None:
        """Name the house as the browser's dialogue shows it."""
        self._title = title

    def _server(self, site: Site) -> "Fido2Server":
        from fido2.server import Fido2Server  # noqa: PLC0415 - 100 ms nobody else should wait
        from fido2.webauthn import PublicKeyCredentialRpEntity  # noqa: PLC0415

        party = PublicKeyCredentialRpEntity(id=site.rp, name=self._title)
        return Fido2Server(party, verify_origin=lambda origin: origin == site.origin)

    def creation(
        self, site: Site, account: Account, name: str, challenge: bytes, held: Sequence[bytes]
    ) -> str:
        """Return, as JSON, what a browser needs to make a passkey."""
        from fido2 import webauthn  # noqa: PLC0415

        user = webauthn.PublicKeyCredentialUserEntity(
            id=account.handle, name=name, display_name=name
        )
        kind = webauthn.PublicKeyCredentialType.PUBLIC_KEY
        options, _ = self._server(site).register_begin(
            user,
            [webauthn.PublicKeyCredentialDescriptor(type=kind, id=each) for each in held],
            resident_key_requirement=webauthn.ResidentKeyRequirement.REQUIRED,
            user_verification=webauthn.UserVerificationRequirement.REQUIRED,
            challenge=challenge,
        )
        return json.dumps(dict(options.public_key))

    def created(self, site: Site, challenge: bytes, answer: str) -> tuple[bytes, bytes, int]:
        """Return credential id, attested public key and signature count."""
        given = _read(answer)
        server = self._server(site)
        try:
            data = server.register_complete(_state(challenge), given)
        except Exception:  # noqa: BLE001 - hostile bytes make the library raise what it likes
            raise InvalidInput(*_WRONG) from None
        held = data.credential_data
        if held is None or _crossed(given):
            raise InvalidInput(*_WRONG)
        return held.credential_id, bytes(held), data.counter

    def request(self, site: Site, challenge: bytes) -> str:
        """Return, as JSON, what a browser needs to sign in by any passkey of this site."""
        from fido2.webauthn import UserVerificationRequirement  # noqa: PLC0415

        options, _ = self._server(site).authenticate_begin(
            user_verification=UserVerificationRequirement.REQUIRED, challenge=challenge
        )
        return json.dumps(dict(options.public_key))

    def named(self, answer: str) -> tuple[bytes, bytes]:
        """Return the credential id and the challenge an answer names."""
        from fido2.webauthn import CollectedClientData  # noqa: PLC0415

        given = _read(answer)
        try:
            data = CollectedClientData(_bytes(given["response"]["clientDataJSON"]))
            return _bytes(given["rawId"]), data.challenge
        except Exception:  # noqa: BLE001 - hostile bytes
            raise InvalidInput(*_WRONG) from None

    def asserted(self, site: Site, challenge: bytes, public: bytes, answer: str) -> int:
        """Return the signature count of an answer that holds."""
        from fido2.webauthn import AttestedCredentialData, AuthenticatorData  # noqa: PLC0415

        given = _read(answer)
        server = self._server(site)
        try:
            held = AttestedCredentialData(public)
            server.authenticate_complete(_state(challenge), [held], given)
            count = AuthenticatorData(_bytes(given["response"]["authenticatorData"])).counter
        except Exception:  # noqa: BLE001 - hostile bytes
            raise InvalidInput(*_WRONG) from None
        if _crossed(given):
            raise InvalidInput(*_WRONG)
        return count


def _read(answer: str) -> dict[str, Any]:
    try:
        given = json.loads(answer) if len(answer) <= ANSWER_MAX else None
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise InvalidInput(*_WRONG)
    return given


def _bytes(text: str) -> bytes:
    from fido2.utils import websafe_decode  # noqa: PLC0415

    return websafe_decode(text)


def _crossed(given: dict[str, Any]) -> bool:
    """Tell whether the page that asked was framed by another site."""
    told = json.loads(_bytes(given["response"]["clientDataJSON"]))
    return bool(told.get("crossOrigin", False))


def _state(challenge: bytes) -> dict[str, Any]:
    from fido2.utils import websafe_encode  # noqa: PLC0415
    from fido2.webauthn import UserVerificationRequirement  # noqa: PLC0415

    return {
        "challenge": websafe_encode(challenge),
        "user_verification": UserVerificationRequirement.REQUIRED,
    }
