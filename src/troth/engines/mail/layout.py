"""Turn a template's MJML into HTML once, and refuse whatever would leak, load or vanish.

Slots stand in the source as tokens (`token(3)`); they must all be there again in the HTML, in
places where a value can do no harm. mrml drops unknown tags and some attributes without a word,
so tags are checked against a list before and the set of tokens is compared afterwards.
Needs about a millisecond: compile time only.
"""

import html
import re
from collections.abc import Mapping
from functools import lru_cache
from html.parser import HTMLParser

import css_inline
import mrml

from troth.engines.mail.headers import https_host
from troth.engines.mail.template import Escaping
from troth.errors import InvalidInput

TOKEN = re.compile(r"qzslot([0-9]{4})zq")
URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s<>\"]*")

_HTML = """
a abbr b bdi bdo blockquote br code del div em h1 h2 h3 h4 hr i ins li ol p q s small span
strong sub sup table tbody td tfoot th thead tr u ul
"""
_IN_COLUMN = {"mj-column", "mj-attributes"}
PARENTS = {
    "mjml": {""},
    **{key: {"mjml"} for key in ("mj-head", "mj-body")},
    **{key: {"mj-head"} for key in ("mj-title", "mj-style", "mj-attributes", "mj-breakpoint")},
    **{key: {"mj-attributes"} for key in ("mj-all", "mj-class")},
    "mj-wrapper": {"mj-body", "mj-attributes"},
    "mj-section": {"mj-body", "mj-wrapper", "mj-attributes"},
    "mj-group": {"mj-section", "mj-attributes"},
    "mj-column": {"mj-section", "mj-group", "mj-attributes"},
    **dict.fromkeys(("mj-text", "mj-button", "mj-divider", "mj-spacer", "mj-table"), _IN_COLUMN),
}
"""Every MJML tag supported, and what it may stand in."""

HOLDING_WORDS = frozenset({"mj-text", "mj-button", "mj-table", "mj-title", "mj-style"})
TAGS = frozenset(PARENTS) | frozenset(_HTML.split())
LINKS = frozenset({"href"})
WORDS = frozenset({"alt", "title", "aria-label"})
LOADING = frozenset({"src", "srcset", "background", "background-url", "action", "poster", "data"})

_ROOT = re.compile(r"<mjml\b[^>]*>")
_HEAD = re.compile(r"<mj-head\s*(/?)>")
_CSS_LOADS = re.compile(r"url\s*\(|@import|expression\s*\(|\\", re.IGNORECASE)


def token(number: int) -> str:
    """Return what stands for slot `number` while the source is laid out."""
    return f"qzslot{number:04}zq"


def to_html(
    mjml: str, preheader: str, kinds: Mapping[int, Escaping], hosts: frozenset[str]
) -> str:
    """Lay out MJML that holds tokens; return HTML that holds the same tokens.

    Args:
        mjml: Source with tokens for slots, sections and repeats already resolved.
        preheader: Plain text with tokens, shown beside the subject.
        kinds: The escaping of every token number used.
        hosts: Hosts a link may lead to.

    Raises:
        InvalidInput: A tag is not on the list, something would be loaded from elsewhere, a link
            is not https to a listed host, a slot stands where it must not or would be lost.
    """
    source = _with_preheader(mjml, preheader)
    written, laid_out = _Source(kinds, hosts), _Rendered(kinds, hosts)
    written.run(mjml)
    written.note(preheader)
    rendered = _render(source)
    laid_out.run(rendered)
    _nothing_lost(written, laid_out)
    return rendered


def check_text(text: str, kinds: Mapping[int, Escaping], hosts: frozenset[str]) -> frozenset[str]:
    """Check the links of the plain part; return the hosts they lead to."""
    return frozenset(
        _link(found[0].rstrip(".,;:!?)"), kinds, hosts) for found in URL.finditer(text)
    )


def hosts_in(rendered: str) -> frozenset[str]:
    """Return the hosts that the constant links of laid-out HTML lead to."""
    found = (
        https_host(TOKEN.sub("0", url[0])) for url in re.finditer(r'(?<=href=")[^"]*', rendered)
    )
    return frozenset(found) - {""}


def _with_preheader(mjml: str, preheader: str) -> str:
    if "<mj-preview" in mjml:
        raise InvalidInput("template: mjml has mj-preview", "write it as preheader instead")
    preview = f"<mj-preview>{html.escape(preheader)}</mj-preview>" if preheader else ""
    head = _HEAD.search(mjml)
    if head is None:
        return _ROOT.sub(lambda m: f"{m[0]}<mj-head>{preview}</mj-head>", mjml, count=1)
    opened = f"<mj-head>{preview}" + ("</mj-head>" if head[1] else "")
    return mjml[: head.start()] + opened + mjml[head.end() :]


@lru_cache(maxsize=1)
def _inliner() -> css_inline.CSSInliner:
    return css_inline.CSSInliner(load_remote_stylesheets=False, keep_at_rules=True)


def _render(source: str) -> str:
    try:
        output = mrml.to_html(source, None, mrml.RenderOptions(fonts={}))
    except OSError:
        raise InvalidInput(
            "template: mjml is not well-formed", "close every tag; write < as &lt;"
        ) from None
    if output.warnings:
        raise InvalidInput("template: mjml has an element where it has no effect", "move it")
    return str(_inliner().inline(output.content))


def _nothing_lost(before: "_Checked", after: "_Checked") -> None:
    lost = before.tokens - after.tokens
    if lost:
        raise InvalidInput(
            f"template: {len(lost)} slot(s) vanish when mjml is laid out",
            "an attribute that needs a number or colour cannot hold a slot",
        )
    if before.words - after.words or before.links - after.links:
        raise InvalidInput(
            "template: words or links vanish when mjml is laid out",
            "put text and buttons into a column of a section",
        )


def _link(url: str, kinds: Mapping[int, Escaping], hosts: frozenset[str]) -> str:
    """Return the host of a literal link after checking it and the slots inside."""
    head, *_ = TOKEN.split(url, maxsplit=1)
    for number in TOKEN.findall(url):
        if kinds[int(number)] != "part":
            raise InvalidInput("template: a slot inside a link is no part", 'escaping = "part"')
    host = https_host(TOKEN.sub("0", url))
    if host not in hosts:
        raise InvalidInput(
            "template: a link does not lead to a listed host by https",
            "write https://… and list the host in hosts",
        )
    if head != url and not re.search(r"[/?#]", head[len("https://") :]):
        raise InvalidInput("template: a slot stands inside a host", "put a / before the slot")
    return host


class _Checked(HTMLParser):
    """Shared walk over source and result: links, loads and the places of slots."""

    def __init__(self, kinds: Mapping[int, Escaping], hosts: frozenset[str]) -> None:
        super().__init__(convert_charrefs=True)
        self._kinds, self._hosts = kinds, hosts
        self.tokens: set[str] = set()
        self.words: set[str] = set()
        self.links: set[str] = set()

    def note(self, text: str) -> None:
        """Remember the words and slots of visible text."""
        self.words.update(text.split())
        self.tokens.update(TOKEN.findall(text))

    def run(self, source: str) -> None:
        self.feed(source)
        self.close()

    def _refuse(self, what: str, remedy: str) -> None:
        raise InvalidInput(f"template: mjml line {self.getpos()[0]}: {what}", remedy)

    def _attributes(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            self._attribute(tag, name, value or "")

    def _attribute(self, tag: str, name: str, value: str) -> None:
        self.tokens.update(TOKEN.findall(value))
        if (
            name in LOADING
            or name.startswith("on")
            or (name == "style" and _CSS_LOADS.search(value))
        ):
            self._refuse(f"{tag} {name} would load or run something", "remove the attribute")
        if TOKEN.search(name):
            self._refuse("a slot inside a tag", "put it in text or in href")
        if name in LINKS:
            self._href(value)
        elif TOKEN.search(value) and name not in WORDS:
            self._refuse(f"a slot inside {name}", "put it in text, href, alt or title")

    def _href(self, value: str) -> None:
        self.links.add(value)
        whole = TOKEN.fullmatch(value)
        if whole and self._kinds[int(whole[1])] == "link":
            return
        _link(value, self._kinds, self._hosts)


class _Source(_Checked):
    """The MJML as written: listed tags in their places, no comments, no styles that load."""

    def __init__(self, kinds: Mapping[int, Escaping], hosts: frozenset[str]) -> None:
        super().__init__(kinds, hosts)
        self._open = [""]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in TAGS:
            self._refuse(f"<{tag[:30]}> is not supported", "use a listed mjml or html tag")
        if not (self.get_starttag_text() or "").startswith(f"<{tag}"):
            self._refuse("a tag in capitals", "write tags in lower case")
        if tag in PARENTS:
            if self._open[-1] not in PARENTS[tag]:
                self._refuse(
                    f"<{tag}> stands in the wrong place", "text → column → section → body"
                )
            self._open.append(tag)
        self._attributes(tag, attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag in PARENTS:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag in PARENTS and self._open.pop() != tag:
            self._refuse(f"</{tag}> closes nothing that is open last", "close tags in order")

    def handle_data(self, data: str) -> None:
        style = self._open[-1] == "mj-style"
        if self._open[-1] not in HOLDING_WORDS and data.strip():
            self._refuse("words outside mj-text", "put them into an mj-text")
        if style and (_CSS_LOADS.search(data) or TOKEN.search(data)):
            self._refuse("a style loads something or holds a slot", "write plain rules")
        if not style:
            self.note(data)

    def handle_comment(self, data: str) -> None:  # noqa: ARG002 - HTMLParser's signature
        self._refuse("a comment would reach the reader", "remove it")

    def handle_decl(self, decl: str) -> None:  # noqa: ARG002 - HTMLParser's signature
        self._refuse("a declaration", "begin with <mjml>")

    def handle_pi(self, data: str) -> None:  # noqa: ARG002 - HTMLParser's signature
        self._refuse("a processing instruction", "begin with <mjml>")

    def unknown_decl(self, data: str) -> None:  # noqa: ARG002 - HTMLParser's signature
        self._refuse("a declaration", "remove it")


class _Rendered(_Checked):
    """The HTML as laid out: what mrml itself wrote is checked like what the author wrote."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"script", "link", "iframe", "img", "form", "object", "embed", "base"}:
            self._refuse(f"the layout holds <{tag}>", "remove what produces it")
        self._attributes(tag, attrs)

    def handle_data(self, data: str) -> None:
        if self.cdata_elem and TOKEN.search(data):
            self._refuse("a slot inside a style", "put it in text or in href")
        self.note(data)

    def handle_comment(self, data: str) -> None:
        if TOKEN.search(data):
            self._refuse("a slot inside a comment for Outlook", "move the slot into mj-text")
