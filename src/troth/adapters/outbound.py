"""HTTP out, to systems the house was told of: one request, no redirect, no surprise host.

An address is looked up once and connected to as found, so that a name cannot point elsewhere in
between. Private and loopback places are refused unless the settings allow this machine.
"""

import http.client
import ipaddress
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from troth.errors import InvalidInput, Unavailable

TIMEOUT_S: Final = 10
ANSWER_MAX: Final = 65_536


@dataclass(frozen=True, slots=True)
class Place:
    """Where to post to; read and checked once.

    Attributes:
        local: This machine and private networks are meant: a trial, or a system beside this one.
    """

    host: str
    port: int
    path: str
    secure: bool
    local: bool


def read_place(url: str, *, local: bool = False) -> Place:
    """Read an address to post to.

    Raises:
        InvalidInput: Not https (http is for this machine alone), with a login in it, or no host.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise InvalidInput("this is no web address", "write https://…") from None
    if not parts.hostname or parts.username or parts.password or parts.fragment:
        raise InvalidInput("this is no web address", "write https://host/path, without a login")
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        raise InvalidInput("a web address must begin with https://", "http is for this machine")
    if not local and _is_private(parts.hostname):
        raise InvalidInput("a web address lies in a private network", "allow local places for it")
    path = parts.path or "/"
    whole = f"{path}?{parts.query}" if parts.query else path
    return Place(parts.hostname, port, whole, parts.scheme == "https", local)


def _is_private(host: str) -> bool:
    """Tell whether a host is written as an address that is not the public net's."""
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        return not _is_public(host)
    except ValueError:  # a name: looked up, and judged, when it is connected to
        return host.replace(".", "").isdigit() or host.startswith("0x")


_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def _is_public(text: str) -> bool:
    """Tell whether an address is the public net's, whatever it is wrapped in."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return inner.is_global and not inner.is_multicast
    return address.is_global and not address.is_multicast


def _found(place: Place) -> str:
    try:
        answers = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    except OSError:
        raise Unavailable("the other system's name is not known now", "try again later") from None
    for answer in answers:
        address = str(answer[4][0])
        if place.local or _is_public(address):
            return address
    raise Unavailable(
        "the other system lies in a private network", "allow local places in its settings"
    )


class Reached:
    """A connection that stands, for one request."""

    def __init__(self, place: Place) -> None:
        """Connect now.

        Raises:
            Unavailable: No such name, a private network that was not allowed, or nobody there.
                Nothing was sent.
        """
        self._place = place
        self._connection = _Pinned(place, _found(place))
        try:
            self._connection.connect()
        except OSError:
            self._connection.close()
            raise Unavailable("the other system does not answer", "try again later") from None

    def post(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes] | None:
        """Send one request; return status and the beginning of the answer, None without one.

        Follows no redirect: a status from 300 up is the answer. Whether an unanswered request was
        acted on is unknown; send it again only under the same id.
        """
        return self._ask("POST", body, headers)

    def get(self) -> tuple[int, bytes] | None:
        """Ask for what lies there; return status and the beginning of it, None without one."""
        return self._ask("GET", None, {})

    def _ask(
        self, method: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes] | None:
        try:
            self._connection.request(method, self._place.path, body, dict(headers))
            answer = self._connection.getresponse()
            return answer.status, answer.read(ANSWER_MAX)
        except (OSError, http.client.HTTPException):
            return None
        finally:
            self.close()

    def close(self) -> None:
        """Hang up; nothing was sent unless `post` was called."""
        self._connection.close()


class _Pinned(http.client.HTTPConnection):
    """A connection to an address found before, under the name it was asked for by."""

    def __init__(self, place: Place, address: str) -> None:
        super().__init__(place.host, place.port, timeout=TIMEOUT_S)
        self._place = place
        self._address = address

    def connect(self) -> None:
        """Connect to the address found; with https, under the host's own name."""
        plain = socket.create_connection((self._address, self._place.port), TIMEOUT_S)
        if self._place.secure:
            context = ssl.create_default_context()
            self.sock = context.wrap_socket(plain, server_hostname=self._place.host)
        else:
            self.sock = plain
