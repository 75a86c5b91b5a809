"""Asking a witness over the net: one request, short waits, no redirect, no surprise host."""

import http.client
from typing import Final
from urllib.parse import urlsplit

from troth import crypto
from troth.adapters import outbound
from troth.errors import Unavailable

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_KIND: Final = "text/plain; charset=utf-8"
NOTE_MAX: Final = 65_536


class HttpWitness:
    """See `ports.WitnessPort`."""

    def add(self, url: str, body: bytes) -> tuple[int, bytes]:
        """Hand in a checkpoint."""
        answer = _reach(f"{url}/add-checkpoint").post(body, {"content-type": _KIND})
        if answer is None:
            raise Unavailable("the witness did not answer in time", "it is asked again")
        return answer

    def newest(self, url: str, origin: str) -> str | None:
        """Return the newest checkpoint the witness shows of a log."""
        digest = crypto.sha256(origin.encode()).hex()
        answer = _reach(f"{url}/{digest}/checkpoint").get()
        if answer is None:
            raise Unavailable("the witness did not answer in time", "it is asked again")
        status, raw = answer
        if status == http.client.NOT_FOUND:
            return None
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            text = ""
        if status != http.client.OK or not text or len(raw) >= NOTE_MAX:
            raise Unavailable("the witness shows no checkpoint now", "it is asked again")
        return text


def _reach(url: str) -> outbound.Reached:
    """Connect: https anywhere on the public net, or anything on this very machine."""
    local = urlsplit(url).hostname in _LOOPBACK
    return outbound.Reached(outbound.read_place(url, local=local))
