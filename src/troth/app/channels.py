"""Channels besides mail: texts delivered to a file or a provider, by the courier mail goes by.

A list of who may be called today is such a delivery: everybody in it was decided on for this very
hand-over, and what proves it lies beside it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from troth import crypto
from troth.adapters import outbound
from troth.adapters.delivery import FileTransport, HttpTransport, Provider, listed_refs
from troth.adapters.system import SystemClock
from troth.app.sending import hand_over
from troth.app.workspace import Workspace
from troth.capabilities import outreach, rights
from troth.capabilities.outreach.model import DONE
from troth.engines import webhooks
from troth.errors import InvalidInput, NotFound, Unavailable
from troth.kernel import events
from troth.ports import MailTransport
from troth.terms import SECOND, Actor, Channel, PersonId

KEYS = "keys:"
RECEIPTS = "receipts"


@dataclass(frozen=True, slots=True)
class Target:
    """A file that takes the messages instead of a provider: a call list, a print run."""

    file: Path


def deliver_channel(
    opened: Workspace,
    campaign: outreach.Campaign,
    actor: Actor,
    target: Target | None = None,
) -> outreach.Handed:
    """Hand booked texts over, deciding once more right before each; safe to repeat.

    Args:
        opened: The workspace.
        campaign: Whose messages; of any channel but mail.
        actor: Who sends.
        target: Where to; None takes the channel's provider in `troth.toml`.

    Raises:
        InvalidInput: The campaign is mail, or the provider's address or secret does not read.
        Unavailable: No provider is named or it cannot be reached; what is booked waits.
    """
    if campaign.channel is Channel.EMAIL:
        raise InvalidInput("mail goes by its relay", "use: troth campaign send")
    transport = transport_of(opened, campaign.channel, target)
    return hand_over(opened, campaign, actor, transport)


def transport_of(opened: Workspace, channel: Channel, target: Target | None) -> MailTransport:
    """Return the way of a channel: a file, or the provider `troth.toml` names.

    Raises:
        InvalidInput: The provider's address or secret does not read.
        Unavailable: No provider is named.
    """
    if target is not None:
        return FileTransport(target.file)
    said = opened.settings.channels.get(channel, {})
    if not said.get("provider"):
        raise Unavailable(
            f"no provider delivers {channel}",
            f"name one under [channels.{channel}] of troth.toml, or write a file with --out",
        )
    return HttpTransport(_provider(opened, channel, said))


def _provider(opened: Workspace, channel: Channel, said: Mapping[str, Any]) -> Provider:
    place = outbound.read_place(str(said["provider"]), local=said.get("local") is True)
    secret = secrets_of(opened.settings.keys, str(said.get("secret", "")))[0]
    return Provider(place, secret, channel, lambda: SystemClock().now() // SECOND)


def secrets_of(folder: Path, reference: str) -> list[bytes]:
    """Return the secrets a reference names, the one to sign with first; two while one is replaced.

    Args:
        folder: The key folder.
        reference: `keys:NAME`, for the file NAME.secret: one `whsec_…` a line.

    Raises:
        InvalidInput: It is no reference into the key folder, or the file holds something else.
        Unavailable: The file is missing or others may read it.
    """
    name = reference.removeprefix(KEYS)
    if not reference.startswith(KEYS) or not name.replace("-", "").replace("_", "").isalnum():
        raise InvalidInput("a secret is named by reference", "write keys:NAME")
    path = folder / f"{name}.secret"
    try:
        if path.stat().st_mode & 0o077:
            raise Unavailable("a secret is open to others", "set its mode to 0600")
        lines = path.read_text("ascii").split()
    except (OSError, UnicodeDecodeError):
        raise Unavailable("a secret is missing", "write keys/NAME.secret, mode 0600") from None
    if not lines:
        raise InvalidInput("a secret's file is empty", "write whsec_… into it")
    return [webhooks.read_secret(line) for line in lines]


@dataclass(frozen=True, slots=True)
class Listed:
    """A list that was written: how many stand on it, and how many receipts lie beside it."""

    file: Path
    people: int
    receipts: int


def prove_list(opened: Workspace, campaign: str, file: Path, actor: Actor) -> Listed:
    """Write the receipt of each booking on a list into `receipts/` beside it, and their policy.

    One house event first: that the list left, its digest and how many stand on it. Who was erased
    since has no receipt any more.

    Raises:
        Unavailable: The folder cannot be written.
    """
    refs, digest = listed_refs(file)
    said = events.ConnectionActed(f"list:{campaign}", "sent", {"people": len(refs)}, digest)
    opened.desk.record_house(said, actor)
    note, folder, written = opened.sign(), file.parent / RECEIPTS, 0
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(folder / "policy", opened.signer.policy_for(note))
        for person in _booked(opened, campaign):
            for ref, text in _receipts(opened, person, note, refs):
                _write(folder / f"{ref}.tlog-proof", text)
                written += 1
    except OSError:
        raise Unavailable("the receipts cannot be written", "check the folder") from None
    return Listed(file, len(refs), written)


def _booked(opened: Workspace, campaign: str) -> Iterator[PersonId]:
    prefix, after = crypto.sha256(campaign.encode())[:8], b""
    while True:
        with opened.store.look() as view:
            page = view.rows(DONE, prefix, after, 500)
        if not page:
            return
        yield from (PersonId(key[8:]) for key, _ in page)
        after = page[-1][0]


def _receipts(
    opened: Workspace, person: PersonId, note: str, refs: frozenset[str]
) -> Iterator[tuple[str, str]]:
    """Yield ref and receipt of the bookings on the list."""
    try:
        chain = rights.timeline(opened.desk, person)
        found = {receipt.n: receipt for receipt in rights.receipts(opened.desk, person, note)}
    except NotFound:  # erased since
        return
    for recorded in chain:
        said = recorded.event.payload
        if isinstance(said, events.MessageBooked) and said.ref in refs:
            yield said.ref, found[recorded.event.n].text


def _write(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")
    path.chmod(0o600)
