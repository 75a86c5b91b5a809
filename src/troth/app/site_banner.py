"""A banner tool's own callback, wired: one write for all purposes it answers."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Annotated, Any

import msgspec

from troth import crypto
from troth.app.site import Outcome, closed, ended, given, nonce_of, visitor
from troth.app.site_place import rules
from troth.app.workspace import Workspace
from troth.capabilities import onsite
from troth.engines import banners
from troth.errors import InvalidInput
from troth.kernel import consent
from troth.terms import GRANTING


class Callback(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What a page passes on from its banner.

    Attributes:
        callback: What the tool handed to its callback, as it was.
        session: As of an answer.
        token: The right to write it.
    """

    tool: Annotated[str, msgspec.Meta(max_length=40)]
    callback: dict[str, Any]
    notice: Annotated[str, msgspec.Meta(max_length=80)]
    session: Annotated[str, msgspec.Meta(max_length=32)]
    token: Annotated[str, msgspec.Meta(max_length=200)]


_callbacks = msgspec.json.Decoder(Callback)


@cache
def tools() -> Mapping[str, banners.Tool]:
    """Return how each known tool's callback is read."""
    told = tomllib.loads((files("troth") / "data/banners.toml").read_text("utf-8"))
    return banners.read_tools(told)


def read_callback(raw: bytes) -> Callback:
    """Read what a page passes on.

    Raises:
        InvalidInput: Not JSON of the known shape, or of a tool that is not known.
    """
    try:
        told = _callbacks.decode(raw[: rules().limits["bytes"] + 1])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidInput("this is not what this address expects", _EXPECTED) from None
    if told.tool not in tools() or not onsite.is_nonce(told.session):
        raise InvalidInput("this banner is not known here", _EXPECTED)
    return told


_EXPECTED = "tool, callback, notice, session, token; see docs/site.md"


def pass_on(
    opened: Workspace, told: Callback, right: onsite.Right, key: str, *, signal: bool
) -> Outcome:
    """Write every answer of a callback; the same write again gets its first answer.

    What stands already as the callback says is not recorded again: some tools call at every page.

    Raises:
        InvalidInput: No right to write it, no person's choice, or the notice speaks of something
            else.
        Conflict: The key or the token was used for another write.
    """
    desk, known = opened.desk, rules()
    chosen = banners.choices(tools()[told.tool], told.callback)
    wanted = {p: yes for p in known.consents if (yes := chosen.get(p)) is not None}
    bare = [told.tool, told.notice, told.session, right.origin, sorted(wanted.items())]
    digest = crypto.sha256(msgspec.json.encode(bare))
    with desk.store.look() as view:
        before = onsite.first_answer(desk, view, key, digest)
        nonce = nonce_of(opened, right, told.token, view.now, again=before is not None)
        if before is not None:
            fresh = nonce and dict(before).get("site") == "given" and not right.device
            return Outcome(before, onsite.drawn(desk, nonce, told.session) if fresh else None)
        for purpose in wanted:
            onsite.require_notice(view, purpose, told.notice)
    onsite.claim(desk, key, nonce, digest, known)
    made = _each(opened, told, right, nonce, wanted, signal=signal)
    onsite.keep_answer(desk, key, digest, made.body, known)
    return made


def _each(  # noqa: PLR0913 - a write and what it is made of
    opened: Workspace,
    told: Callback,
    right: onsite.Right,
    nonce: str,
    wanted: Mapping[str, bool],
    *,
    signal: bool,
) -> Outcome:
    states: dict[str, object] = {}
    cookie: str | None = None
    device = right.device
    for purpose, yes in wanted.items():
        answer = onsite.Answer(purpose, yes, told.notice, told.session, "", method=told.tool)
        mine = onsite.Right(right.origin, right.session, device, right.notice)
        if yes and _stands(opened, device, purpose):
            states[purpose] = "given"
            continue
        if not yes:
            made = ended(opened, answer, mine)
        else:
            made = closed(opened, answer, mine) if signal else given(opened, answer, mine, nonce)
        states[purpose] = made.body["state"]
        if made.cookie is not None:
            cookie = device = made.cookie
    return Outcome(states, cookie)


def _stands(opened: Workspace, device: str, purpose: str) -> bool:
    """Tell whether a yes to a purpose stands for the browser."""
    found = visitor(opened, device)
    if found is None:
        return False
    with opened.store.look() as view:
        house, held = opened.desk.house(view), view.gather([found.keeper], None)
        asked = house.purposes.get(purpose)
        if asked is None or not held:
            return False
        stands = consent.resolve(held[0].record, asked, "", view.now, house.purposes)
    return stands.status in GRANTING
