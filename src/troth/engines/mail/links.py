"""Links whose following is counted, for a campaign and not for a person; and the open mark.

    template = counted(parsed, Counting("https://my.brand.example/go/spring", own="brand.example"),
                       mark)                       # mark(number, url) -> the tag that proves both

Only constant links of the HTML part change; the plain part stays readable. A link whose words are
themselves an address stays too: what a reader sees is where it leads. What of a person stands in
a link or an open mark is a typed slot like any other: only where its category is agreed.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from troth.engines.mail.headers import https_host
from troth.engines.mail.template import MARK, Slot, Template

CLICKS, OPENS = "engagement.clicks", "engagement.opens"
MEASURED = frozenset({CLICKS, OPENS})
"""Categories about what somebody does with a message: each asks for a consent of its own."""
CLICK_MARK, OPEN_MARK = "click_mark", "open_mark"
MARK_MAX = 40
_HREF = re.compile(r'(<(?:mj-button|a)\b[^>]*?\bhref=")([^"]*)("[^>]*>)([^<]*)')
_ADDRESS = re.compile(r"https?://|www\.|\w\.\w{2,}/", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Counting:
    """Where counted links and open marks lead.

    Attributes:
        go: Address of the campaign's counted links, without a final slash.
        own: The brand's domain; links to it and below it are counted unless a template says no.
        opens: Address of open marks, without a final slash.
    """

    go: str
    own: str
    opens: str


Tag = Callable[[int, str], str]
"""`(number, url) -> tag`: what proves that this number of this campaign leads to this URL."""


def countable(template: Template, own: str) -> tuple[str, ...]:
    """Return the links of a template that may be counted, once each, in the order of its text."""
    return tuple(dict.fromkeys(url for url in _links(template) if _may(template, own, url)))


def _links(template: Template) -> Iterator[str]:
    for found in _HREF.finditer(template.mjml):
        if not MARK.search(found[2]) and not _ADDRESS.search(found[4]):
            yield found[2]


def _may(template: Template, own: str, url: str) -> bool:
    host = https_host(url)
    if not host or template.clicks == "none" or any(url in said for _, said in template.carries):
        return False
    return template.clicks == "all" or host == own or host.endswith(f".{own}")


def counted(template: Template, counting: Counting, tag: Tag) -> tuple[Template, dict[int, str]]:
    """Lead a template's countable links through the counter; return it and where each leads.

    A link holds its number and tag, nothing of a reader. Behind it stands a slot of the category
    `engagement.clicks`, and before the end of the page one of `engagement.opens`: both are nothing
    at all where the person did not agree.
    """
    urls = countable(template, counting.own)
    number = {url: place for place, url in enumerate(urls, 1)}

    def through(found: re.Match[str]) -> str:
        url = found[2]
        if url not in number or _ADDRESS.search(found[4]):
            return found[0]
        address = f"{counting.go}/{number[url]}.{tag(number[url], url)}"
        return f"{found[1]}{address}{{{{{CLICK_MARK}}}}}{found[3]}{found[4]}"

    slots = [*template.slots, Slot(OPEN_MARK, OPENS, "part", "", MARK_MAX)]
    if urls:
        slots.append(Slot(CLICK_MARK, CLICKS, "part", "", MARK_MAX))
    made = replace(
        template,
        mjml=_HREF.sub(through, template.mjml),
        hosts=template.hosts | {https_host(counting.go)},
        slots=tuple(slots),
        pixel=counting.opens,
    )
    return made, {place: url for url, place in number.items()}
