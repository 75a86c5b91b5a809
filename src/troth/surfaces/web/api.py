"""`/api/v1/decide`: the gate over HTTP, for one or for many; every answer is recorded first."""

from typing import Annotated

import msgspec
from fastapi import FastAPI, Header
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from troth import crypto
from troth.errors import InvalidInput
from troth.surfaces.web.decisions import Answer, Ask, decide
from troth.surfaces.web.parts import Hub, Problem, body_of, page, problem
from troth.terms import Action, Actor, Channel, Role

BATCH_MAX = 500
TEXT_MAX = 200
_KEY_HINT = "send the header Authorization: Bearer KEY"
Text = Annotated[str, Field(min_length=1, max_length=TEXT_MAX)]


class AskedBy(BaseModel):
    """Who asks: the role and the staff member's id."""

    model_config = ConfigDict(extra="forbid")
    role: Role
    id: Text


class Question(BaseModel):
    """One use of one person's data. Without `categories`: as many as the person agreed to."""

    model_config = ConfigDict(extra="forbid")
    person: Text = Field(description="your own id of the person, as imported")
    actor: AskedBy
    purpose: Text
    action: Action = Action.SEND
    channel: Channel | None = Channel.EMAIL
    categories: list[Text] | None = Field(default=None, max_length=50)


class ReasonOut(BaseModel):
    """One objection, with its rule, in words, and what would change the answer."""

    code: str
    rule: str
    title: str
    remedy: str


class Decision(BaseModel):
    """The gate's answer; a refusal is an answer too, with status 200."""

    agreed: bool
    reasons: list[ReasonOut]
    until: str = Field(description="first instant at which a yes is worth nothing; empty on a no")
    categories: dict[str, str] = Field(description="category → full, hash, year, last4 or null")
    obligations: list[str] = Field(description="what the message must carry")
    basis: str = Field(description="consent, customer_exception, ask_once, or empty")


class ProblemOut(BaseModel):
    """What went wrong; never repeats what was sent."""

    code: str
    message: str
    remedy: str
    id: str


class Batch(msgspec.Struct, forbid_unknown_fields=True):
    """One use of many people's data."""

    people: Annotated[list[Annotated[str, msgspec.Meta(min_length=1, max_length=TEXT_MAX)]],
                      msgspec.Meta(min_length=1, max_length=BATCH_MAX)]  # fmt: skip
    actor: "Asker"
    purpose: Annotated[str, msgspec.Meta(min_length=1, max_length=TEXT_MAX)]
    action: Action = Action.SEND
    channel: Channel | None = Channel.EMAIL
    categories: Annotated[list[str], msgspec.Meta(max_length=50)] | None = None


class Asker(msgspec.Struct, forbid_unknown_fields=True):
    """Who asks, in a batch."""

    role: Role
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=TEXT_MAX)]


_batch = msgspec.json.Decoder(Batch)
_RESPONSES: dict[int | str, dict[str, object]] = {
    code: {"model": ProblemOut} for code in (400, 401, 409, 422, 500, 503)
}


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add both decisions and the page that explains them."""

    @app.post("/api/v1/decide", responses=_RESPONSES, summary="Decide for one person")
    def one(
        question: Question,
        request: Request,
        authorization: Annotated[str, Header(include_in_schema=False)] = "",
    ) -> Decision:
        if not allowed(hub, authorization):
            return _locked(hub, request)  # type: ignore[return-value]
        chosen = None if question.categories is None else frozenset(question.categories)
        ask = Ask(
            _asker(question.actor.role, question.actor.id),
            question.purpose,
            question.action,
            question.channel,
            chosen,
            hub.ws.settings.brand,
        )
        return Decision.model_validate(told(decide(hub.ws.desk, ask, [question.person])[0]))

    async def batch(request: Request) -> Response:
        if not allowed(hub, request.headers.get("authorization", "")):
            return await run_in_threadpool(_locked, hub, request)
        try:
            asked = _batch.decode(await body_of(request))
        except msgspec.ValidationError:
            raise InvalidInput("a field of the batch is missing or malformed", _FIELDS) from None
        except msgspec.DecodeError:
            raise InvalidInput("the batch is not JSON", _FIELDS) from None
        answers = await run_in_threadpool(_decide_batch, hub, asked)
        return Response(msgspec.json.encode({"answers": answers}), media_type="application/json")

    app.router.add_route("/api/v1/decide/batch", batch, methods=["POST"], include_in_schema=False)

    @app.api_route("/api", methods=["GET", "HEAD"], include_in_schema=False)
    def explained(request: Request) -> Response:
        port = request.url.port or 80
        return page(
            hub,
            "api.html",
            here="api",
            key=hub.shown_key if hub.report else "",
            most=BATCH_MAX,
            port=port,
        )


def _asker(role: Role, name: str) -> Actor:
    """Say who asks: staff listed in troth.toml; what the house does itself is asked in the house.

    Raises:
        InvalidInput: The role is the machinery's or a customer's own.
    """
    if role in (Role.SYSTEM, Role.PERSON):
        raise InvalidInput("this role does not ask from outside", "name a role of the staff")
    return Actor(role, name)


_FIELDS = f"people (1 to {BATCH_MAX} ids), actor, purpose, action, channel, categories"


def _decide_batch(hub: Hub, asked: Batch) -> list[dict[str, object]]:
    ask = Ask(
        _asker(asked.actor.role, asked.actor.id),
        asked.purpose,
        asked.action,
        asked.channel,
        None if asked.categories is None else frozenset(asked.categories),
        hub.ws.settings.brand,
    )
    return [told(answer) for answer in decide(hub.ws.desk, ask, asked.people)]


def told(answer: Answer) -> dict[str, object]:
    """Write an answer as its JSON object."""
    return {
        "agreed": answer.agreed,
        "reasons": [
            {"code": r.code, "rule": r.rule, "title": r.title, "remedy": r.remedy}
            for r in answer.reasons
        ],
        "until": answer.until,
        "categories": answer.categories or {},
        "obligations": list(answer.obligations),
        "basis": answer.basis,
    }


def allowed(hub: Hub, header: str) -> bool:
    """Tell whether a header carries the key; compares digests, in constant time."""
    scheme, _, key = header.partition(" ")
    given = crypto.sha256(key.strip().encode("utf-8", "surrogateescape"))
    return crypto.same(given, hub.api_key) and scheme.lower() == "bearer"


def _locked(hub: Hub, request: Request) -> Response:
    shown = Problem("not_allowed", "an API key is needed here", _KEY_HINT, hub.reference())
    answer = problem(hub, request, 401, shown)
    answer.headers["www-authenticate"] = "Bearer"
    return answer


_OWN = frozenset(Question.model_fields) | frozenset(AskedBy.model_fields)


def malformed(fault: RequestValidationError) -> str:
    """Say which of our own fields is wrong; names and values made up by the caller stay unsaid."""
    named = [str(part) for error in fault.errors() for part in error["loc"] if part in _OWN]
    if not named:
        return "the request is not what this address expects"
    return f"the field {named[-1]} is missing or malformed"
