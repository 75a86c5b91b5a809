"""The ledger as C2SP tlog-tiles: checkpoint, tiles and entry bundles, as far as was signed."""

from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from troth.errors import InvalidInput, NotFound
from troth.kernel import ledger
from troth.surfaces.web.parts import Hub, checkpoint

if TYPE_CHECKING:
    from troth.ports import View

READ = ["GET", "HEAD"]
FRESH = {"cache-control": "public, max-age=5"}
FOR_EVER = {"cache-control": "public, max-age=31536000, immutable"}
OPEN = {"access-control-allow-origin": "*", "cross-origin-resource-policy": "cross-origin"}
_NO_TILE = ("the signed ledger has no such tile", "ask /checkpoint for its size")


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the public paths of the ledger."""

    @app.api_route("/checkpoint", methods=READ, include_in_schema=False)
    def newest() -> Response:
        with hub.ws.store.look() as view:
            note = view.note()
        if note is None:
            raise NotFound("nothing was signed yet", "run: troth ledger head")
        return PlainTextResponse(note, headers=FRESH | OPEN)

    @app.api_route("/tile/{path:path}", methods=READ, include_in_schema=False)
    def tile(path: str, request: Request) -> Response:
        del path  # it lacks a line feed at its end: not what was asked for
        try:
            level, number, width = ledger.parse_tile_path(request.scope["path"].removeprefix("/"))
        except InvalidInput:
            raise NotFound(*_NO_TILE) from None
        with hub.ws.store.look() as view:
            body = published(view, level, number, width)
        return Response(body, media_type="application/octet-stream", headers=FOR_EVER | OPEN)

    @app.api_route("/log.vkey", methods=READ, include_in_schema=False)
    def key() -> Response:
        return PlainTextResponse(hub.ws.signer.key.vkey + "\n", headers=FRESH | OPEN)

    @app.api_route("/policy", methods=READ, include_in_schema=False)
    def policy() -> Response:
        return PlainTextResponse(policy_text(hub), headers=FRESH | OPEN)


def policy_text(hub: Hub) -> str:
    """Write the policy that receipts of this workspace verify under: its keys, its witnesses."""
    return hub.ws.signer.text()


def published(view: "View", level: int | str, number: int, width: int) -> bytes:
    """Return a tile or bundle that the newest signed checkpoint covers in full.

    Raises:
        NotFound: It does not, or nothing was signed.
    """
    signed = checkpoint(view.note())
    size = signed.size if signed else 0
    covered = size >> (8 * level) if isinstance(level, int) else size
    start = number * ledger.TILE
    if start + width > covered:
        raise NotFound(*_NO_TILE)
    if isinstance(level, int):
        return view.tile(level, number)[: width * ledger.HASH]
    return ledger.bundle(view.entries(start, start + width))
