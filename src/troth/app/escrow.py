"""Shares of the key in force: handed out, made anew at every epoch, and tried without need.

Only the key of the epoch in force is ever shared: shares of an epoch that was destroyed give back
a key that opens nothing any more.
"""

from collections.abc import Sequence
from contextlib import suppress
from html import escape
from pathlib import Path

import msgspec

from troth import crypto
from troth.adapters.providers import overwrite, settle_folder, write_secret
from troth.adapters.sqlite.keys import FileKeyStore
from troth.adapters.system import SystemRandomness
from troth.app.keycare import SHARES, care_of, provider_of, require_keeper
from troth.app.workspace import Workspace
from troth.capabilities.custody import epochs
from troth.errors import Conflict, InvalidInput, Unavailable
from troth.kernel import escrow, events
from troth.kernel.desk import SYSTEM
from troth.ports import EscrowableProvider
from troth.settings import read_settings
from troth.terms import Actor

SHARE_FILE = "troth-share.txt"


def shares(opened: Workspace, count: int, need: int, actor: Actor) -> list[escrow.Share]:
    """Split the key in force; the shares made before give nothing together with these.

    Raises:
        InvalidInput: The numbers do not fit, this role keeps no keys, or the provider's key
            cannot leave it.
        Unavailable: The provider does not answer.
    """
    require_keeper(actor)
    provider = _escrowable(opened.keys)
    epoch = epochs.current(opened.keys.epochs.all()).epoch
    key = provider.export(epoch)
    random = opened.desk.randomness.take(escrow.drawn(len(key), max(2, need)))
    made = escrow.split(opened.desk.workspace, epoch, key, count, need, random)
    told = events.KeyActed("escrowed", epoch, counts={"need": need, "shares": count})
    opened.desk.record_house(told, actor)
    with opened.store.book() as tx:
        tx.put_row(SHARES, b"last", msgspec.json.encode([epoch, count, need, tx.now]))
    return made


def _escrowable(store: FileKeyStore) -> EscrowableProvider:
    if not isinstance(store.provider, EscrowableProvider):
        raise InvalidInput(
            "the key never leaves this provider, so there are no shares of it",
            "use the provider's own recovery",
        )
    return store.provider


def write_shares(made: Sequence[escrow.Share], folder: Path) -> list[Path]:
    """Write each share as a text and as a page to print, for its owner alone.

    Raises:
        Conflict: A share lies there already; nothing was written.
        Unavailable: The folder cannot be written.
    """
    require_free(folder)
    names = [folder / f"share-{share.x}-of-{share.shares}.txt" for share in made]
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for share, path in zip(made, names, strict=True):
            write_secret(path, share.text.encode())
            page = path.with_suffix(".html")
            page.unlink(missing_ok=True)
            write_secret(page, paper(share).encode())
    except OSError:
        raise Unavailable("the shares cannot be written", "check the folder") from None
    return names


def require_free(folder: Path) -> None:
    """Refuse a folder in which shares lie: whoever finds two sets there mixes them up.

    Raises:
        Conflict: Some do.
    """
    if any(folder.glob("share-*-of-*")):
        raise Conflict("shares lie there already", "name an empty folder")


def paper(share: escrow.Share) -> str:
    """Return a share as a page for paper, without anything from elsewhere."""
    return f"""<!doctype html><html lang="en"><meta charset="utf-8">
<title>Share {share.x} of {share.shares}</title>
<style>body{{font:16px/1.5 serif;max-width:34em;margin:3em auto}}
pre{{font:15px/1.8 monospace;border:1px solid;padding:1em;white-space:pre-wrap}}</style>
<h1>Share {share.x} of {share.shares} of the key, epoch {share.epoch}</h1>
<p>Any {share.need} of these {share.shares} shares give the key back. Keep this page where the
other shares are not. With the next epoch it is worth nothing: exchange it for the new one then,
and destroy it.</p>
<pre>{escape(share.text)}</pre>
<p>To try it: <code>troth keys recover SHARE SHARE</code>. Letters and digits of the line
<code>data</code> are A to Z and 2 to 7; its check finds a mistyped one.</p></html>
"""


def share_again(opened: Workspace) -> None:
    """Write a share of the new key into each folder of `[keys] escrow_to`, over the old one.

    A folder that is not there holds up nothing: the pages say that the shares are of an epoch
    that ended, until somebody shares anew.
    """
    care = care_of(opened.settings)
    if not care.escrow_to or not all(folder.is_dir() for folder in care.escrow_to):
        return
    with suppress(Unavailable, InvalidInput):
        made = shares(opened, len(care.escrow_to), care.escrow_need, SYSTEM)
        for share, folder in zip(made, care.escrow_to, strict=True):
            _replace(folder / SHARE_FILE, share.text.encode())


def _replace(path: Path, raw: bytes) -> None:
    try:
        beside = path.with_suffix(".new")
        overwrite(beside)
        write_secret(beside, raw)
        overwrite(path)
        beside.rename(path)
        settle_folder(path.parent)
    except OSError:
        raise Unavailable("a share cannot be written", "check the folder") from None


def recover(folder: Path, texts: Sequence[str]) -> tuple[int, bytes]:
    """Give the key back from shares and prove that it is the one in force; changes nothing.

    Works while the key itself is lost.

    Raises:
        InvalidInput: A share does not read, is of another house or splitting, or of an epoch that
            ended: says which.
        EvidenceBroken: What comes out is not the key: a share was forged.
    """
    read = [escrow.read(text) for text in texts]
    key = escrow.combine(read)
    settings = read_settings(folder)
    workspace = read[0].workspace
    provider = provider_of(settings, workspace, SystemRandomness())
    store = FileKeyStore(settings.keys, workspace, provider)
    try:
        now = epochs.current(store.epochs.all()).epoch
        if read[0].epoch != now:
            raise InvalidInput(
                f"these shares are of epoch {read[0].epoch}, and epoch {now} is in force",
                "use the shares made when it began",
            )
        if not store.opens(now, key):
            raise InvalidInput("these shares are of another house's key", "bring this house's")
    finally:
        store.close()
    return now, key


def put_back(folder: Path, texts: Sequence[str]) -> int:
    """Put the key in force back where it was lost; one that is there stays. Returns its epoch.

    Raises as `recover` does, and `Unavailable` where the provider cannot write.
    """
    epoch, key = recover(folder, texts)
    settings = read_settings(folder)
    workspace = escrow.read(texts[0]).workspace
    provider = provider_of(settings, workspace, SystemRandomness())
    provider.put_back(epoch, key)
    if not crypto.same(provider.export(epoch), key):
        raise Conflict("another key of this epoch is there", "move that file away first")
    return epoch
