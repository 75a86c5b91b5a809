"""Asking the pages a template links to whether they are there; only where somebody asks for it."""

import http.client
import ssl
from collections.abc import Callable
from urllib.parse import urlsplit

from troth.engines import mail
from troth.engines.mail.layout import URL
from troth.engines.mail.template import MARK

SECONDS = 5.0
MOST = 40
_MISSING = 400


def check_links(
    source: str, tell: Callable[[str], None] = lambda _line: None
) -> list[mail.Finding]:
    """Send one HEAD request to each constant link; links with slots are left out.

    No header names a person and no cookie is kept; a redirect is not followed but said.

    Args:
        source: The template's text.
        tell: Shows a passing line.
    """
    links = sorted({found[0].rstrip(".,;:!?)\"'") for found in URL.finditer(source)})
    plain = [url for url in links if url.startswith("https://") and not MARK.search(url)][:MOST]
    found = []
    for url in plain:
        tell(f"asking {url}")
        said = _asked(url)
        if said:
            place = source.count("\n", 0, source.index(url)) + 1
            found.append(mail.Finding("warn", "mjml", place, "link_live", f"{url}: {said}",
                                      "open it yourself and correct the link"))  # fmt: skip
    return found


def _asked(url: str) -> str:
    parts = urlsplit(url)
    context = ssl.create_default_context()
    try:
        line = http.client.HTTPSConnection(
            parts.hostname or "", parts.port or 443, timeout=SECONDS, context=context
        )
        try:
            line.request("HEAD", parts.path or "/", headers={"user-agent": "troth-link-check"})
            status = line.getresponse().status
        finally:
            line.close()
    except (OSError, http.client.HTTPException):
        return "no answer"
    if status >= _MISSING:
        return f"the page answers {status}"
    return f"it leads elsewhere ({status})" if status >= 300 else ""  # noqa: PLR2004 - redirects
