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

_LISTED = """
mjml mj-head mj-body mj-preview mj-title mj-style mj-attributes mj-all mj-class mj-breakpoint
mj-wrapper mj-section mj-group mj-column mj-text mj-button mj-divider mj-spacer mj-table
a abbr b bdi bdo blockquote br code del div em h1 h2 h3 h4 hr i ins li ol p q s small span
strong sub sup table tbody td tfoot th thead tr u ul
"""
TAGS = frozenset(_LISTED.split())
LINKS = frozenset({"href"})
WORDS = frozenset({"alt", "title", "aria-label"})
LOADING = frozenset({"src", "srcset", "background", "background-url", "action", "poster", "data"})

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
    _Source(kinds, hosts).run(mjml)
    rendered = _render(source)
    _same_tokens(source, rendered)
    _Rendered(kinds, hosts).run(rendered)
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
    if "<mj-head>" in mjml:
        return mjml.replace("<mj-head>", f"<mj-head>{preview}", 1)
    return re.sub(r"<mjml\b[^>]*>", lambda m: f"{m[0]}<mj-head>{preview}</mj-head>", mjml, count=1)


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


def _same_tokens(before: str, after: str) -> None:
    lost = set(TOKEN.findall(before)) - set(TOKEN.findall(after))
    if lost:
        raise InvalidInput(
            f"template: {len(lost)} slot(s) vanish when mjml is laid out",
            "an attribute that needs a number or colour cannot hold a slot",
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

    def run(self, source: str) -> None:
        self.feed(source)
        self.close()

    def _refuse(self, what: str, remedy: str) -> None:
        raise InvalidInput(f"template: mjml line {self.getpos()[0]}: {what}", remedy)

    def _attributes(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            self._attribute(tag, name, value or "")

    def _attribute(self, tag: str, name: str, value: str) -> None:
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
        whole = TOKEN.fullmatch(value)
        if whole and self._kinds[int(whole[1])] == "link":
            return
        _link(value, self._kinds, self._hosts)


class _Source(_Checked):
    """The MJML as written: only listed tags, no comments, no styles that load."""

    def __init__(self, kinds: Mapping[int, Escaping], hosts: frozenset[str]) -> None:
        super().__init__(kinds, hosts)
        self._style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in TAGS:
            self._refuse(f"<{tag[:30]}> is not supported", "use a listed mjml or html tag")
        self._style = tag == "mj-style"
        self._attributes(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag == "mj-style":
            self._style = False

    def handle_data(self, data: str) -> None:
        if self._style and (_CSS_LOADS.search(data) or TOKEN.search(data)):
            self._refuse("a style loads something or holds a slot", "write plain rules")

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

    def handle_comment(self, data: str) -> None:
        if TOKEN.search(data):
            self._refuse("a slot inside a comment for Outlook", "move the slot into mj-text")
