"""Seal, open, derive, authenticate, sign, verify: pure functions over given keys and nonces.

The only importer of `cryptography`. Nothing here reads a clock, a file or a random source: nonces,
salts and seeds are arguments, so every result can be fixed by a vector file. Wrong keys and
altered bytes raise `EvidenceBroken`; malformed arguments raise `InvalidInput`.
"""

import hashlib
import hmac
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.backends.openssl import backend
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from troth.errors import EvidenceBroken, InvalidInput

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))
_INNER_REST, _OUTER_REST = b"\x36" * 32, b"\x5c" * 32
_INNER_OF_NONE, _OUTER_OF_NONE = b"\x36" * 64, b"\x5c" * 64


class Aead:
    """AES-256-GCM under one key; make it once per key and batch, construction costs about 2 µs."""

    __slots__ = ("_gcm",)

    def __init__(self, key: bytes) -> None:
        """Take a key of `KEY_BYTES`; any other length raises `InvalidInput`."""
        if len(key) != KEY_BYTES:
            raise InvalidInput(f"a sealing key has {len(key)} bytes")
        self._gcm = AESGCM(key)

    def seal(self, nonce: bytes, plain: bytes, aad: bytes) -> bytes:
        """Return ciphertext and tag. A nonce must never be used twice under one key."""
        return self._gcm.encrypt(nonce, plain, aad)

    def open(self, nonce: bytes, sealed: bytes, aad: bytes) -> bytes:
        """Return the plain bytes, or raise `EvidenceBroken` if key, place or bytes are wrong."""
        try:
            return self._gcm.decrypt(nonce, sealed, aad)
        except (InvalidTag, ValueError):
            raise EvidenceBroken("a sealed value does not open under its key and place") from None


def hkdf(key: bytes, info: bytes, length: int = KEY_BYTES) -> bytes:
    """Derive `length` bytes by HKDF-SHA256 with an empty salt (RFC 5869)."""
    return HKDF(hashes.SHA256(), length, None, info).derive(key)


def scrypt(passphrase: bytes, salt: bytes) -> bytes:
    """Stretch a passphrase into a key (RFC 7914; N=2^15, r=8, p=1: about 100 ms and 32 MiB)."""
    return Scrypt(salt, KEY_BYTES, 2**15, 8, 1).derive(passphrase)


def mac(key: bytes, message: bytes) -> bytes:
    """Return HMAC-SHA256, 32 bytes; under a key of `KEY_BYTES` by the shorter way, 1.4 µs."""
    if len(key) != KEY_BYTES:
        return hmac.digest(key, message, "sha256")
    inner = hashlib.sha256(key.translate(_INNER) + _INNER_REST + message).digest()
    return hashlib.sha256(key.translate(_OUTER) + _OUTER_REST + inner).digest()


def derived(key: bytes, one: bytes, other: bytes) -> tuple[bytes, bytes]:
    """Derive two keys from one by HKDF-SHA256, each of one block, at a fifth of what `hkdf` costs.

    `one` and `other` are each what is derived for, ending in the block's number, 0x01.
    """
    sha = hashlib.sha256
    extracted = sha(_OUTER_OF_NONE + sha(_INNER_OF_NONE + key).digest()).digest()
    inner, outer = extracted.translate(_INNER) + _INNER_REST, extracted.translate(_OUTER)
    outer += _OUTER_REST
    return (
        sha(outer + sha(inner + one).digest()).digest(),
        sha(outer + sha(inner + other).digest()).digest(),
    )


def hmac_sha1(key: bytes, message: bytes) -> bytes:
    """Return HMAC-SHA1, 20 bytes: for the one-time codes of RFC 4226 and 6238 and nothing else."""
    return hmac.digest(key, message, "sha1")


def same(left: bytes, right: bytes) -> bool:
    """Compare two secrets in time that does not depend on where they differ."""
    return hmac.compare_digest(left, right)


def sha256(data: bytes) -> bytes:
    """Return SHA-256, 32 bytes."""
    return hashlib.sha256(data).digest()


@lru_cache(maxsize=64)
def _ed25519(seed: bytes) -> ed25519.Ed25519PrivateKey:
    if len(seed) != KEY_BYTES:
        raise InvalidInput(f"an Ed25519 seed has {len(seed)} bytes")
    return ed25519.Ed25519PrivateKey.from_private_bytes(seed)


@lru_cache(maxsize=64)
def ed25519_public(seed: bytes) -> bytes:
    """Return the raw 32-byte public key of a seed (RFC 8032)."""
    return _ed25519(seed).public_key().public_bytes_raw()


def ed25519_sign(seed: bytes, message: bytes) -> bytes:
    """Return the 64-byte Ed25519 signature of `message`; deterministic (RFC 8032)."""
    return _ed25519(seed).sign(message)


def ed25519_verify(public: bytes, signature: bytes, message: bytes) -> bool:
    """Say whether `signature` is by `public`; a malformed key or signature is a plain no."""
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


class RsaKey:
    """An RSA private key for DKIM: PKCS#1 v1.5 with SHA-256 (RFC 6376, RFC 8301).

    Signing releases the interpreter lock, so a second thread uses the second core.
    """

    __slots__ = ("_key",)

    def __init__(self, pem: bytes) -> None:
        """Load a PEM this house made itself; skips the 40 ms key check, so never load others'."""
        key = serialization.load_pem_private_key(pem, None, unsafe_skip_rsa_key_validation=True)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise InvalidInput("the PEM holds no RSA private key")
        self._key = key

    def sign(self, message: bytes) -> bytes:
        """Return the signature over SHA-256 of `message`; deterministic."""
        return self._key.sign(message, padding.PKCS1v15(), hashes.SHA256())

    def public_der(self) -> bytes:
        """Return the SubjectPublicKeyInfo in DER: base64 of it is the DNS `p=` of DKIM."""
        return self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )


def rsa_generate(bits: int = 2048) -> bytes:
    """Return a new RSA private key as PKCS#8 PEM. The library draws its own randomness here."""
    return rsa.generate_private_key(65537, bits).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def rsa_verify(public_der: bytes, signature: bytes, message: bytes) -> bool:
    """Say whether `signature` is by the key in `public_der`; malformed input is a plain no."""
    try:
        key = serialization.load_der_public_key(public_der)
        if not isinstance(key, rsa.RSAPublicKey):
            return False
        key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


def openssl_version() -> str:
    """Return the version of the OpenSSL this process has loaded, such as 3.5.4."""
    return backend.openssl_version_text().split()[1]
