"""A certified identity provider (npm: oidc-provider), started on this machine for a test."""

import atexit
import functools
import json
import re
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

import httpx2
from joserfc import jwk

HERE = Path(__file__).parent
NODE = Path(sys.prefix) / "node"
SECRET = "s3cret+ of the tests/%"
PEOPLE = {
    "sub-lindiwe": {
        "email": "lindiwe@marula.example",
        "email_verified": True,
        "preferred_username": "lindiwe@marula.example",
    },
    "sub-gareth": {
        "email": "gareth@marula.example",
        "email_verified": True,
        "preferred_username": "gareth@marula.example",
    },
    "sub-thief": {
        "email": "lindiwe@marula.example",
        "email_verified": True,
        "preferred_username": "lindiwe@marula.example",
    },
    "sub-unproved": {
        "email": "sipho@marula.example",
        "email_verified": False,
        "preferred_username": "sipho@marula.example",
    },
    "sub-stranger": {"email": "stranger@elsewhere.example", "email_verified": True},
}


def installed() -> Path:
    """The folder the provider is installed in; `make provider` does the same."""
    if not (NODE / "node_modules" / "oidc-provider").is_dir():
        NODE.mkdir(exist_ok=True)
        shutil.copy(HERE / "package.json", NODE / "package.json")
        subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", "--silent"], cwd=NODE, check=True
        )
    return NODE


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@dataclass
class RealProvider:
    """The provider's process and address."""

    issuer: str
    process: subprocess.Popen

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(10)
        if self.process.stdout is not None:
            self.process.stdout.close()


def start(home: str, alg: str = "RS256", port: int = 0, farewell: str = "") -> RealProvider:
    """Start a provider that knows one client: the house whose console is at `home`."""
    port = port or free_port()
    told = {
        "client": "troth",
        "secret": SECRET,
        "back": [f"{home}/signin/oidc/back"],
        "home": [f"{home}/signin"],
        "farewell": farewell or f"{home}/signin/oidc/logout",
        "alg": alg,
        "jwks": keys(),
        "people": PEOPLE,
    }
    process = subprocess.Popen(
        ["node", str(HERE / "provider.mjs"), str(port), str(installed()), json.dumps(told)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    made = RealProvider(f"http://127.0.0.1:{port}", process)
    atexit.register(made.stop)
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == "ready":
            break
    else:
        raise AssertionError("the provider did not start")
    return made


@functools.cache
def keys() -> dict:
    """The provider's private keys, one of each kind."""
    made = [
        jwk.RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"}, private=True),
        jwk.ECKey.generate_key("P-256", {"kid": "ec", "use": "sig"}, private=True),
        jwk.OKPKey.generate_key("Ed25519", {"kid": "ed", "use": "sig"}, private=True),
    ]
    return {"keys": [key.as_dict(private=True) for key in made]}


class Person:
    """A browser at the provider, without script: signs in under any name and agrees."""

    def __init__(self, issuer: str, name: str) -> None:
        self.issuer, self.name = issuer, name
        self.http = httpx2.Client(follow_redirects=False, timeout=10)

    def go(self, url: str) -> str:
        """Follow from the house's redirect to the address back at the house."""
        answer = self.http.get(url)
        for _ in range(20):
            if answer.is_redirect:
                where = urljoin(str(answer.url), answer.headers["location"])
                if not where.startswith(self.issuer):
                    return where
                answer = self.http.get(where)
                continue
            form = {"prompt": "login", "login": self.name, "password": "any"}
            if 'name="prompt" value="login"' not in answer.text:
                form = {"prompt": "consent"}
            action = re.search(r'action="([^"]+)"', answer.text)
            assert action, answer.text[:2000]
            answer = self.http.post(urljoin(str(answer.url), action[1]), data=form)
        raise AssertionError("the provider never led back")

    def leave(self, url: str) -> str:
        """Sign out at the provider; its word to the house goes out meanwhile."""
        answer = self.http.get(url)
        form = re.search(r'action="([^"]+)".*?name="xsrf" value="([^"]+)"', answer.text, re.DOTALL)
        assert form, answer.text[:2000]
        done = self.http.post(form[1], data={"xsrf": form[2], "logout": "yes"})
        return done.headers.get("location", "")

    def __del__(self) -> None:
        self.http.close()
