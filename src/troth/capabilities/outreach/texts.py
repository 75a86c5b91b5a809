"""Short messages: SMS, WhatsApp, push, call scripts and letters, written as mail is, unsigned."""

import base64
import tomllib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from troth import crypto
from troth.capabilities.outreach import footer
from troth.capabilities.outreach.model import Campaign, Judged, Rendered, Shelf
from troth.capabilities.outreach.rendering import FRESH_BYTES, Unrenderable, compose, open_values
from troth.engines import mail, texts
from troth.errors import Fault, InvalidInput
from troth.kernel.desk import Desk
from troth.kernel.vault import Shredded
from troth.ports import View
from troth.terms import SECOND, PurposeKind, Refusal, Sealed

PREFIX = "text:"
_NOTHING_SHARED = mail.Skeleton.of(b"", (), ())


@cache
def stop_words() -> frozenset[str]:
    """Return the words of which a text must tell one, as answers to it are read."""
    said = tomllib.loads((files("troth") / "data" / "replies.toml").read_text("utf-8"))
    return frozenset(word.casefold() for words in said["stop"].values() for word in words)


class TextRenderer:
    """Fills the texts of one campaign; takes and gives what the renderer of mail does."""

    def __init__(self, desk: Desk, campaign: Campaign, shelf: Shelf) -> None:
        """Read the text.

        Raises:
            InvalidInput: It does not read, has no body for the campaign's channel, or would cut
                the link by which people stop it.
        """
        self.desk = desk
        self.campaign = campaign
        self.shelf = shelf
        self._text = texts.parse_text(campaign.template.data.decode())
        sender = campaign.sender
        self._sender = texts.Sender(sender.from_name, sender.postal, stop_words())
        if campaign.channel not in self._text.bodies:
            raise InvalidInput(
                f"the text {self._text.name} has no body for {campaign.channel}", "write one"
            )
        link = self._text.slots.get("stop_link")
        if link is not None and link.max_chars < len(self._stop_link("x" * _TOKEN)):
            raise InvalidInput("the slot stop_link would cut the link", "give it more max_chars")

    def of(self, campaign: Campaign) -> "TextRenderer":
        """Return what writes the same for another round of the campaign."""
        return TextRenderer(self.desk, campaign, self.shelf)

    def _stop_link(self, token: str) -> str:
        return f"{self.campaign.sender.base_url}/stop/{token}"

    def render(
        self,
        view: View,
        judged: Judged,
        rows: Sequence[Sealed],
        signed_at_s: int,  # noqa: ARG002 - nothing of a text is signed
        fresh: bytes = b"",
    ) -> Rendered:
        """Write one text; about 60 µs. What it must carry is looked for in the finished words.

        Raises:
            Unrenderable: It is too long for the channel with this person's values, or lacks what
                the permit obliges it to carry where they live.
        """
        fresh = fresh or self.desk.randomness.take(FRESH_BYTES)
        second = (view.now // SECOND & 0xFFFFFFFF).to_bytes(4, "big")
        raw = second + fresh[:12]
        ref = raw.hex()
        token = f"t{ref[1:8]}{base64.b32encode(fresh[12:FRESH_BYTES]).decode()}"
        data = self._written(view, judged, rows, token).encode()
        return Rendered(
            judged,
            ref,
            int.from_bytes(raw[:7], "big"),
            token,
            data,
            "",
            crypto.sha256(data).hex(),
            f"<{ref}@{self.campaign.sender.domain}>",
            mail.pack(data, b"", (), _NOTHING_SHARED),
            _NOTHING_SHARED,
        )

    def render_all(
        self,
        view: View,
        wanted: Sequence[tuple[Judged, Sequence[Sealed], bytes]],
        signed_at_s: int,
    ) -> list[Rendered | Fault]:
        """Write the texts of a batch; see `model.Writer.render_all`."""
        out: list[Rendered | Fault] = []
        for judged, rows, fresh in wanted:
            try:
                out.append(self.render(view, judged, rows, signed_at_s, fresh))
            except (Shredded, Unrenderable) as fault:
                out.append(fault.with_traceback(None))
        return out

    def _written(self, view: View, judged: Judged, rows: Sequence[Sealed], token: str) -> str:
        permit = judged.answer
        if isinstance(permit, Refusal):
            raise InvalidInput("no message is written on a refusal")
        opened = open_values(self.desk, view, judged, rows)
        composed = compose(self.desk, view, permit, opened, rows, self.shelf)
        values = {name: said for name, said in composed.items() if isinstance(said, str)}
        values |= {
            "brand": self.campaign.sender.from_name,
            "stop_link": self._stop_link(token),
            "why": footer.why(judged),
        }
        try:
            filled = texts.fill(self._text, self.campaign.channel, values)
        except InvalidInput as fault:
            raise Unrenderable(fault.message, fault.remedy) from None
        lacking = self._lacking(judged, filled)
        if lacking:
            raise Unrenderable(f"the text does not carry: {', '.join(lacking)}")
        return filled

    def _lacking(self, judged: Judged, filled: str) -> list[str]:
        permit = judged.answer
        if isinstance(permit, Refusal):
            return []
        purpose = judged.facts.house.purposes.get(permit.purpose)
        if purpose is None or purpose.kind is PurposeKind.SERVICE:
            return []  # a receipt names no way to stop it: it cannot be stopped
        return texts.lacking(self._text, filled, permit.obligations, self._sender)


_TOKEN = 32
"""Length of a stop token."""
