"""The two addresses of a witness (c2sp.org/tlog-witness); needs no workspace."""

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from troth.app.witness_server import Witness
from troth.errors import Fault
from troth.kernel import witnessing

LOOPBACK = "127.0.0.1"
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'",
    "x-content-type-options": "nosniff",
}


def application(witness: Witness) -> Starlette:
    """Build the app around a witness."""

    async def add(request: Request) -> Response:
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > witnessing.MAX_BODY:
                return _told(witnessing.Refused(413, "the request is too large\n"))
        return await run_in_threadpool(answer, witness, bytes(body))

    def newest(request: Request) -> Response:
        try:
            note = witness.newest(request.path_params["digest"])
        except Fault:
            return _told(witnessing.Refused(503, "the witness cannot read its file now\n"))
        if note is None:
            return _told(witnessing.Refused(404, "no checkpoint of this log was cosigned here\n"))
        return PlainTextResponse(note, headers=HEADERS)

    def key(_request: Request) -> Response:
        return PlainTextResponse(witness.store.vkey + "\n", headers=HEADERS)

    return Starlette(
        routes=[
            Route("/add-checkpoint", add, methods=["POST"]),
            Route("/{digest}/checkpoint", newest, methods=["GET"]),
            Route("/witness.vkey", key, methods=["GET"]),
        ]
    )


def answer(witness: Witness, body: bytes) -> Response:
    """Answer a checkpoint handed in; what the file cannot keep is never answered with a yes."""
    try:
        said = witness.add(body)
    except Fault:
        return _told(witnessing.Refused(503, "the witness cannot write its file now\n"))
    if isinstance(said, witnessing.Refused):
        return _told(said)
    return PlainTextResponse(said, headers=HEADERS)


def _told(refused: witnessing.Refused) -> Response:
    kind = {"content-type": refused.kind}
    return Response(refused.said, refused.status, headers=HEADERS | kind)


def serve(witness: Witness, port: int, host: str = LOOPBACK) -> None:
    """Serve until stopped; outside this machine behind a proxy that speaks https."""
    uvicorn.run(
        application(witness), host=host, port=port, log_level="warning", server_header=False
    )
