"""An identity provider that lies as it is told to: a small server of the tests' own."""

import base64
import hashlib
import json
import threading
import warnings
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

from joserfc import jwk, jws

CLIENT, SECRET = "troth", "hostile-secret"
EVENT = "http://schemas.openid.net/event/backchannel-logout"
SECOND = 1_000_000


def key(kind: str, kid: str):
    if kind == "RSA":
        return jwk.RSAKey.generate_key(2048, {"kid": kid}, private=True)
    if kind == "EC":
        return jwk.ECKey.generate_key("P-256", {"kid": kid}, private=True)
    return jwk.OKPKey.generate_key("Ed25519", {"kid": kid}, private=True)


KEYS = {"rsa": key("RSA", "rsa"), "ec": key("EC", "ec"), "ed": key("OKP", "ed")}
SIGNERS = {"RS256": "rsa", "PS256": "rsa", "ES256": "ec", "EdDSA": "ed", "Ed25519": "ed"}


def part(value) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def signed(head: dict, claims: dict, by=None) -> str:
    """A compact token, signed by one of the keys."""
    by = by or KEYS[SIGNERS[head["alg"]]]
    registry = jws.JWSRegistry(algorithms=list(SIGNERS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # EdDSA by its older name
        return jws.serialize_compact(head, json.dumps(claims), by, registry=registry)


def unsigned(claims: dict) -> str:
    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}."


def by_shared_secret(claims: dict, secret: bytes, kid: str = "rsa") -> str:
    """HS256 over a secret everybody knows, such as the public key's own bytes."""
    import hmac

    head = f"{part({'alg': 'HS256', 'kid': kid})}.{part(claims)}"
    return f"{head}.{part(hmac.digest(secret, head.encode(), 'sha256'))}"


class Hostile:
    """What it answers; tests change it as they like."""

    def __init__(self, now) -> None:
        self.now = now  # microseconds, the house's clock
        self.issuer = ""
        self.published = [k.as_dict(private=False) for k in KEYS.values()]
        self.describe: dict = {}
        self.claims: dict = {}
        self.answer: dict = {}
        self.token = None  # a function of the claims
        self.head = {"alg": "RS256", "kid": "rsa"}
        self.status: dict[str, int] = {}
        self.raw: dict[str, bytes] = {}
        self.asked: list[tuple[str, dict]] = []
        self.spent: set[str] = set()
        self.nonce = ""

    def discovery(self) -> dict:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/auth",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "end_session_endpoint": f"{self.issuer}/leave",
            "code_challenge_methods_supported": ["S256"],
            **self.describe,
        }

    def good(self, **more) -> dict:
        """Claims that hold, but for what is said otherwise; None leaves one out."""
        now = self.now() // SECOND
        told = {
            "iss": self.issuer,
            "sub": "s-1",
            "aud": CLIENT,
            "exp": now + 300,
            "iat": now,
            "nonce": self.nonce,
            "email": "lindiwe@marula.example",
            "email_verified": True,
            **more,
        }
        return {name: value for name, value in told.items() if value is not None}

    def id_token(self) -> str:
        claims = self.good(**self.claims)
        return self.token(claims) if self.token else signed(self.head, claims)

    def told(self, path: str, form: dict) -> tuple[int, bytes]:
        self.asked.append((path, form))
        if path in self.raw:
            return self.status.get(path, 200), self.raw[path]
        if path.startswith("/.well-known"):
            body = self.discovery()
        elif path == "/keys":
            body = {"keys": self.published}
        elif path == "/token":
            if form["code"] in self.spent:
                return 400, b'{"error":"invalid_grant"}'
            self.spent.add(form["code"])
            body = {"access_token": "at", "token_type": "Bearer", "id_token": self.id_token()}
            body |= self.answer
        else:
            return 404, b"{}"
        return self.status.get(path, 200), json.dumps(body).encode()

    def farewell(self, head: dict | None = None, **more) -> str:
        now = self.now() // SECOND
        told = {
            "iss": self.issuer,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 120,
            "jti": hashlib.sha256(repr((now, more, len(self.asked))).encode()).hexdigest()[:20],
            "sub": "s-1",
            "events": {EVENT: {}},
            **more,
        }
        told = {name: value for name, value in told.items() if value is not None}
        return signed({"typ": "logout+jwt", **self.head, **(head or {})}, told)


@contextmanager
def hostile(now):
    """Serve one on a free port of this machine."""
    state = Hostile(now)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.answer({})

        def do_POST(self):
            raw = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            form = {name: values[0] for name, values in parse_qs(raw).items()}
            self.answer({**form, "authorization": self.headers.get("authorization", "")})

        def answer(self, form):
            status, body = state.told(self.path, form)
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("location", f"{state.issuer}/elsewhere")
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.issuer = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
