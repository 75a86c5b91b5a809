"""Mail out: who signs, who renders, who hands over; and the machine's own time."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from troth import crypto
from troth.adapters.system import SystemClock, WalkingClock
from troth.app.workspace import Workspace
from troth.capabilities import outreach
from troth.capabilities.outreach import clicks
from troth.capabilities.outreach.texts import TextRenderer
from troth.engines import mail
from troth.ports import Clock, LocalInbox, MailTransport
from troth.terms import SECOND, Actor, Channel, Instant


def signers(opened: Workspace) -> tuple[mail.Signer, ...]:
    """Return the brand's two DKIM signers, Ed25519 and RSA."""
    folder, domain = opened.settings.keys, opened.settings.domain
    seed = (folder / "dkim-ed25519.key").read_bytes()
    pem = (folder / "dkim-rsa.key").read_bytes()
    return (
        mail.Signer(domain, "troth-ed", "ed25519-sha256", seed),
        mail.Signer(domain, "troth-rsa", "rsa-sha256", crypto.RsaKey(pem)),
    )


def deliver(
    opened: Workspace,
    campaign: outreach.Campaign,
    actor: Actor,
    relay: tuple[str, int] | None = None,
    progress: Callable[[int], None] = lambda _done: None,
) -> outreach.Handed:
    """Hand booked messages over to the relay, finishing first what a killed worker had begun.

    Args:
        opened: The workspace.
        campaign: Whose messages.
        actor: Who sends.
        relay: Host and port; None takes the workspace's own.
        progress: Told after each batch.

    Raises:
        Unavailable: The relay cannot be reached; nothing is lost, repeat later.
    """
    from troth.adapters.smtp import SmtpTransport

    s = opened.settings
    host, port = relay or (s.relay_host, s.relay_port)
    transport = SmtpTransport(host, port, s.relay_security)
    return hand_over(opened, campaign, actor, transport, progress)


def hand_over(  # noqa: PLR0913 - what, by whom, which way
    opened: Workspace,
    campaign: outreach.Campaign,
    actor: Actor,
    transport: MailTransport,
    progress: Callable[[int], None] = lambda _done: None,
    kind: type[outreach.Courier] = outreach.Courier,
) -> outreach.Handed:
    """Hand booked messages over by a transport; see `deliver`. Every channel goes this one way.

    Raises:
        Unavailable: The other side cannot be reached; nothing is lost, repeat later.
    """
    from troth.adapters.smtp import HandoverJournal

    folder, totals = opened.settings.record.parent, outreach.Handed()
    read = HandoverJournal.read
    with HandoverJournal.free(folder) as log:
        everyone = partial(HandoverJournal.all, folder)
        courier = kind(opened.desk, campaign, transport, log, actor, everyone)
        courier.recover(read(log.path), totals, HandoverJournal.taken(log.path))
        courier.run(totals, progress)
        for dead in HandoverJournal.left(folder):  # a worker beside this one was killed
            courier.recover(read(dead.path), totals, HandoverJournal.taken(dead.path))
            dead.rotate(partial(waiting_for, opened))
        courier.run(totals, progress)
        log.rotate(partial(waiting_for, opened))
    return totals


def waiting_for(opened: Workspace, refs: Sequence[str]) -> frozenset[str]:
    """Return which of these messages, of any campaign, were taken and did not end yet."""
    with opened.store.look() as view:
        return view.leased(f"{outreach.JOB}/", refs)


def local_inbox(folder: Path) -> LocalInbox:
    """Return a local receiving mailbox, for demos and trials; start it to get its port."""
    from troth.adapters.inbox import Inbox

    return Inbox(folder)


def real_seconds() -> int:
    """Return the machine's own POSIX seconds, for DKIM, whatever the workspace's clock says."""
    return SystemClock().now() // SECOND


def renderer(
    opened: Workspace, campaign: outreach.Campaign, shelf: outreach.Shelf
) -> outreach.Writer:
    """Return what writes a campaign's messages: signed mail, or the texts of another channel."""
    if campaign.channel is not Channel.EMAIL:
        return TextRenderer(opened.desk, campaign, shelf)
    counting = clicks.counting(campaign.sender, campaign.name)
    held = opened.log.anchors.newest(opened.log.origin)
    anchor = outreach.anchor_line(held, campaign.sender.base_url) if held else None
    return outreach.Renderer(opened.desk, campaign, shelf, signers(opened), counting, anchor)


def walking_clock(at: Instant, since: int, until: Instant) -> Clock:
    """Return a served demo's clock; see `adapters.system.WalkingClock`."""
    return WalkingClock(at, since, until)


def real_micros() -> int:
    """Return the machine's own microseconds, to time a step; decides nothing."""
    return SystemClock().now()
