"""Beside the tools a house has: permissions out and webhooks, wired; see `app.incoming` too."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from troth import crypto
from troth.adapters import outbound
from troth.adapters.delivery import write_rows
from troth.adapters.sqlite import keys as keystore
from troth.adapters.system import SystemClock
from troth.app.channels import secrets_of
from troth.app.workspace import Workspace
from troth.capabilities import connections, rights
from troth.capabilities.connections.model import ID, SHOWN
from troth.engines import webhooks
from troth.errors import Fault, InvalidInput, NotFound, Unavailable
from troth.kernel import events
from troth.terms import (
    SECOND,
    Actor,
    Channel,
    Refusal,
    Role,
)

CURSORS = "connections.cursor"
UNDER = "connections"
SECRET_BYTES = 32
ROWS = ("ref", "person", "may", "code", "since", "until")


@dataclass(frozen=True, slots=True)
class SyncState:
    """Where a target is, when it was last told, and since when it does not take it; 0 it does."""

    cursor: str = ""
    last: int = 0
    failing: int = 0


def sync_state(opened: Workspace, name: str) -> SyncState:
    """Return how a target stands."""
    with opened.store.look() as view:
        raw = view.row(CURSORS, name.encode())
    return msgspec.json.decode(raw, type=SyncState) if raw else SyncState()


def _note_sync(opened: Workspace, name: str, cursor: str, *, failed: bool = False) -> None:
    held = sync_state(opened, name)
    with opened.store.book() as tx:
        state = SyncState(cursor, tx.now)
        if failed:
            state = SyncState(cursor, held.last, held.failing or tx.now)
        tx.put_row(CURSORS, name.encode(), msgspec.json.encode(state))


@dataclass(frozen=True, slots=True)
class Synced:
    """A sync that was made: rows by answer, and where the next one begins."""

    rows: Counter[str]
    cursor: str
    digest: str = ""


def feed_of(
    opened: Workspace, name: str, purpose: str = "", channel: str = ""
) -> connections.Feed:
    """Return what a connection is told, as `[connections.NAME]` of `troth.toml` says.

    Raises:
        InvalidInput: The purpose or channel is none, or nothing says which.
    """
    said = opened.settings.connections.get(name, {})
    channel = channel or str(said.get("channel", Channel.EMAIL))
    shows = str(said.get("shows", ID))
    if channel not in {each.value for each in Channel} or shows not in SHOWN:
        raise InvalidInput("the connection names no channel or no way to name people")
    wanted = purpose or str(said.get("purpose", ""))
    with opened.store.look() as view:
        if wanted not in opened.desk.house(view).purposes:
            raise InvalidInput("no such purpose is published", "name a published one")
    return connections.Feed(
        name,
        wanted,
        Channel(channel),
        str(said.get("under", UNDER)),
        opened.settings.brand,
        str(said.get("agreement", "")),
        shows,
    )


def permissions(
    opened: Workspace, feed: connections.Feed, actor: Actor, since: str
) -> connections.Page | Refusal:
    """Return a page of permissions; see `connections.page`."""
    with opened.store.look() as view:
        at = connections.read_cursor(view, since).at
        gone = rights.erased_since(view, at) if since else []
    return connections.page(opened.desk, feed, actor, since, gone)


def sync_out(
    opened: Workspace, name: str, actor: Actor, *, out: Path | None = None, again: bool = False
) -> Synced | Refusal:
    """Tell a registered target what changed since its last sync: by file, or by a signed push.

    Args:
        opened: The workspace.
        name: A `[connections.NAME]` of `troth.toml`.
        actor: Who syncs.
        out: A CSV file instead of the target's own place.
        again: Begin anew and tell everybody.

    Raises:
        NotFound: There is no such target.
        InvalidInput: It names no place, purpose or channel.
        Unavailable: It does not take what it is sent; the next sync begins where this one ended.
    """
    said = opened.settings.connections.get(name)
    if said is None:
        raise NotFound("there is no such target", "name it under [connections] of troth.toml")
    feed = feed_of(opened, name)
    put = _place(opened, name, out)
    cursor = "" if again else sync_state(opened, name).cursor
    done, more = Synced(Counter(), cursor), True
    while more:
        found = permissions(opened, feed, actor, cursor)
        if isinstance(found, Refusal):
            return found
        try:
            if found.rows:
                put(found.rows, found.cursor)
        except Unavailable:
            _note_sync(opened, name, cursor, failed=True)
            raise
        cursor, more = found.cursor, found.more
        done.rows.update(row.may for row in found.rows)
        _note_sync(opened, name, cursor)
    acted(opened, name, "sent", dict(done.rows), actor)
    opened.sign()
    return Synced(done.rows, cursor)


Put = Callable[[Sequence[connections.Row], str], None]


def _place(opened: Workspace, name: str, out: Path | None) -> Put:
    said = opened.settings.connections[name]
    if out is None and not said.get("url"):
        if not said.get("file"):
            raise InvalidInput("the target has no place", "give it url or file, or name --out")
        out = opened.settings.folder / str(said["file"])
    if out is not None:
        file = out
        return lambda rows, _cursor: write_rows(file, ROWS, map(_cells, rows))
    place = outbound.read_place(str(said["url"]), local=said.get("local") is True)
    secret = secrets_of(opened.settings.keys, str(said.get("secret", "")))[0]

    def push(rows: Sequence[connections.Row], cursor: str) -> None:
        body = msgspec.json.encode({"rows": [told(row) for row in rows], "cursor": cursor})
        ident = f"sync-{crypto.sha256(name.encode() + body).hex()[:32]}"
        if not _posted(place, secret, ident, body):
            acted(opened, name, "failed", {"rows": len(rows)}, Actor(Role.SYSTEM, "troth"))
            raise Unavailable("the target did not take the rows", "look there, then sync again")

    return push


def told(row: connections.Row) -> dict[str, str]:
    """Write a row as its JSON object."""
    return dict(zip(ROWS, _cells(row), strict=True))


def _cells(row: connections.Row) -> tuple[str, ...]:
    return (row.ref, row.shown, row.may, row.code, row.since, row.until)


def acted(  # noqa: PLR0913 - an act and what it counts
    opened: Workspace, name: str, act: str, counts: dict[str, int], actor: Actor, digest: str = ""
) -> None:
    """Record in the house chain that a connection was used for a whole set."""
    said = events.ConnectionActed(
        f"sync:{name}", act, dict(sorted(counts.items())), digest or None
    )
    opened.desk.record_house(said, actor)


def _posted(place: outbound.Place, secret: bytes, ident: str, body: bytes) -> bool:
    """Post a signed message; False where nobody took it."""
    headers = webhooks.sign(secret, ident, SystemClock().now() // SECOND, body)
    try:
        answer = outbound.Reached(place).post(
            body, {"content-type": "application/json", **headers}
        )
    except Unavailable:
        return False
    return answer is not None and answer[0] < 300  # noqa: PLR2004 - HTTP's own border


# Webhooks


def add_webhook(opened: Workspace, hook: connections.Hook, actor: Actor) -> str:
    """Make a webhook and return its secret, which both ends keep; shown this once.

    Raises:
        InvalidInput: Address, name, events or purpose are none, or it lies in a private network.
        Conflict: One of this name is in use.
    """
    outbound.read_place(hook.url, local=hook.local)
    connections.add_hook(opened.desk, hook, actor)
    raw = opened.desk.randomness.take(SECRET_BYTES)
    _write_secrets(opened, hook.name, [raw])
    return webhooks.secret_text(raw)


def rotate_webhook(opened: Workspace, name: str, actor: Actor) -> str:
    """Make a new secret; until the next one the old signs as well, so that nobody waits.

    Raises:
        NotFound: There is none of this name in use.
    """
    live = {s.hook.name for s in webhook_list(opened) if not s.hook.ended}
    if name not in live:
        raise NotFound("no webhook of this name is in use", "see: troth webhook list")
    raw = opened.desk.randomness.take(SECRET_BYTES)
    before = secrets_of(opened.settings.keys, f"keys:webhook-{name}")
    _write_secrets(opened, name, [raw, before[0]])
    said = events.ConnectionActed(f"webhook:{name}", "made", {"secrets": 2})
    opened.desk.record_house(said, actor)
    return webhooks.secret_text(raw)


def _write_secrets(opened: Workspace, name: str, secrets: Sequence[bytes]) -> None:
    path = opened.settings.keys / f"webhook-{name}.secret"
    fresh = path.with_suffix(".new")
    with suppress(FileNotFoundError):
        fresh.unlink()
    keystore.write_secret(fresh, "\n".join(map(webhooks.secret_text, secrets)).encode())
    os.replace(fresh, path)  # noqa: PTH105 - one step, so that no reader finds half a file


def deliver_webhooks(opened: Workspace) -> int:
    """Deliver what is due; return how many deliveries were tried."""
    return connections.deliver_due(opened.desk, lambda *given: _deliver(opened, *given))


def test_webhook(opened: Workspace, name: str, actor: Actor) -> bool:
    """Send a message about nobody; see `connections.test_hook`."""
    ident = f"test-{opened.desk.randomness.take(12).hex()}"
    return connections.test_hook(
        opened.desk, name, ident, lambda *given: _deliver(opened, *given), actor
    )


def _deliver(opened: Workspace, hook: connections.Hook, ident: str, body: bytes) -> bool:
    try:
        place = outbound.read_place(hook.url, local=hook.local)
        secrets = secrets_of(opened.settings.keys, f"keys:webhook-{hook.name}")
        reached = outbound.Reached(place)
    except Fault:
        return False
    now = SystemClock().now() // SECOND
    signed = [webhooks.sign(secret, ident, now, body) for secret in secrets]
    both = " ".join(each["webhook-signature"] for each in signed)
    headers = {**signed[0], "webhook-signature": both, "content-type": "application/json"}
    answer = reached.post(body, headers)
    return answer is not None and 200 <= answer[0] < 300  # noqa: PLR2004 - HTTP's own borders


def webhook_list(opened: Workspace) -> list[connections.HookStanding]:
    """Return every webhook with its standing."""
    with opened.store.look() as view:
        return [connections.standing(view, hook) for hook in connections.hooks(view)]


def end_webhook(opened: Workspace, name: str, actor: Actor) -> None:
    """End a webhook and destroy its secret; see `connections.end_hook`."""
    connections.end_hook(opened.desk, name, actor)
    with suppress(FileNotFoundError):
        (opened.settings.keys / f"webhook-{name}.secret").unlink()
