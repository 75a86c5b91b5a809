"""The last line of a message: which ledger the sender keeps, and how it stood when it was written.

Whoever keeps the message holds a head of the ledger that can no longer be taken back.
"""

import html
from dataclasses import dataclass, replace

from troth.engines.mail.headers import https_host
from troth.engines.mail.template import Template

_END = "</mj-column>"
"""Of the last column: a section of its own would cost each message two kilobytes."""


@dataclass(frozen=True, slots=True)
class Anchored:
    """A head of the ledger as a message shows it.

    Attributes:
        root: In base64.
        url: Where anybody compares it.
    """

    origin: str
    size: int
    root: str
    url: str

    @property
    def words(self) -> str:
        """The line, without its link.

        >>> Anchored("brand.example/ledger", 12345, "AbC=", "https://my.brand.example/anchors").words
        'Our record: brand.example/ledger, 12345 entries, root AbC='
        """
        return f"Our record: {self.origin}, {self.size} entries, root {self.root}"


def anchored(template: Template, shown: Anchored) -> Template:
    """Return the template with the line after everything else, in both parts.

    It is part of what is compiled once: a message costs nothing more for it.
    """
    words, url = html.escape(shown.words), html.escape(shown.url, quote=True)
    block = (
        '<mj-text font-size="11px" line-height="16px" color="#6b6b6b">'
        f'{words}. <a href="{url}">What this is</a></mj-text>'
    )
    head, end, rest = template.mjml.rpartition(_END)
    return replace(
        template,
        mjml=f"{head}{block}{end}{rest}" if end else template.mjml,
        text=f"{template.text.rstrip()}\n\n{shown.words}\n{shown.url}\n",
        hosts=template.hosts | {https_host(shown.url)},
    )
