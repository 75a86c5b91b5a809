"""`/api/v1/decide`: the gate over HTTP, for one or for many; every answer is recorded first."""

from typing import Annotated

import msgspec
from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from troth.errors import InvalidInput
from troth.kernel.reasons import house_reason
from troth.surfaces.web.acting import key_actor, keyed
from troth.surfaces.web.decisions import Answer, Ask, decide, refuse
from troth.surfaces.web.parts import Hub, body_of, page
from troth.terms import Action, Actor, ApiKey, Channel, Reason, ReasonCode, Role

BATCH_MAX = 500
TEXT_MAX = 200
Text = Annotated[str, Field(min_length=1, max_length=TEXT_MAX)]
Named = Annotated[str, Field(max_length=TEXT_MAX)]
_WHY = (
    "the open case or request that contains the person, as kind:id, such as case:T-1 or "
    "request:rq-abc; to read or export with a key of staff it is needed, and each yes is logged "
    "as a look and counts against the day's people"
)


class AskedBy(BaseModel):
    """Who asks, where the caller says so: never anybody but whose key it is."""

    model_config = ConfigDict(extra="forbid")
    role: Role
    id: Text | None = None


class Question(BaseModel):
    """One use of one person's data. Without `categories`: as many as the person agreed to."""

    model_config = ConfigDict(extra="forbid")
    person: Text = Field(description="your own id of the person, as imported")
    actor: AskedBy | None = Field(default=None, description="left out: whose key it is")
    purpose: Text
    action: Action = Action.SEND
    channel: Channel | None = Channel.EMAIL
    categories: list[Text] | None = Field(default=None, max_length=50)
    reason: Named = Field(default="", description=_WHY)


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
    categories: dict[str, str] = Field(
        description="category → full, hash, year, last4, first4, initial, shape or null"
    )
    obligations: list[str] = Field(description="what the message must carry")
    basis: str = Field(
        description="consent, customer_exception, implied_consent, ask_once, or empty"
    )


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
    purpose: Annotated[str, msgspec.Meta(min_length=1, max_length=TEXT_MAX)]
    action: Action = Action.SEND
    channel: Channel | None = Channel.EMAIL
    categories: Annotated[list[str], msgspec.Meta(max_length=50)] | None = None
    actor: "Asker | None" = None
    reason: Annotated[str, msgspec.Meta(max_length=TEXT_MAX)] = ""


class Asker(msgspec.Struct, forbid_unknown_fields=True):
    """Who asks, in a batch."""

    role: Role
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=TEXT_MAX)] | None = None


_batch = msgspec.json.Decoder(Batch)
_RESPONSES: dict[int | str, dict[str, object]] = {
    code: {"model": ProblemOut} for code in (400, 401, 409, 422, 500, 503)
}


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add both decisions and the page that explains them."""

    def of_key(request: Request) -> ApiKey:  # before the body is judged
        return keyed(hub, request)

    @app.post("/api/v1/decide", responses=_RESPONSES, summary="Decide for one person")
    def one(question: Question, key: Annotated[ApiKey, Depends(of_key)]) -> Decision:
        return Decision.model_validate(_decided(hub, key, question)[0])

    async def batch(request: Request) -> Response:
        key = await run_in_threadpool(keyed, hub, request)
        try:
            asked = _batch.decode(await body_of(request))
        except msgspec.ValidationError:
            raise InvalidInput("a field of the batch is missing or malformed", _FIELDS) from None
        except msgspec.DecodeError:
            raise InvalidInput("the batch is not JSON", _FIELDS) from None
        answers = await run_in_threadpool(_decided, hub, key, asked)
        return Response(msgspec.json.encode({"answers": answers}), media_type="application/json")

    app.router.add_route("/api/v1/decide/batch", batch, methods=["POST"], include_in_schema=False)

    @app.api_route("/api", methods=["GET", "HEAD"], include_in_schema=False)
    def explained(request: Request) -> Response:
        port = request.url.port or 80
        return page(
            hub,
            "api.html",
            here="api",
            key=hub.shown_key,
            actor=next(iter(hub.ws.settings.staff.get(Role.MARKETER, ())), ""),
            most=BATCH_MAX,
            port=port,
        )


_FIELDS = f"people (1 to {BATCH_MAX} ids), actor, purpose, action, channel, categories, reason"
_RULE = "access.key"


def _decided(hub: Hub, key: ApiKey, asked: Question | Batch) -> list[dict[str, object]]:
    """Decide as the key's own actor; what the key or the caller's own word excludes is refused.

    Raises:
        InvalidInput: The caller claims a role that is the machinery's or a customer's own.
    """
    actor = key_actor(hub, key)
    ask = Ask(
        actor,
        asked.purpose,
        asked.action,
        asked.channel,
        None if asked.categories is None else frozenset(asked.categories),
        hub.ws.settings.brand,
        asked.reason,
    )
    people = asked.people if isinstance(asked, Batch) else [asked.person]
    if (no := _objection(key, actor, asked)) is not None:
        return [told(answer) for answer in refuse(hub.ws.desk, ask, (no,), people)]
    return [told(answer) for answer in decide(hub.ws.desk, ask, people)]


def _objection(key: ApiKey, actor: Actor, asked: Question | Batch) -> Reason | None:
    said = asked.actor
    if said is not None:
        if said.role in (Role.SYSTEM, Role.PERSON):
            raise InvalidInput("this role does not ask from outside", "name a role of the staff")
        if said.role != actor.role or said.id not in {None, actor.id, key.name}:
            return house_reason(ReasonCode.UNKNOWN_ACTOR, _RULE)
    if asked.action not in key.actions:
        return house_reason(ReasonCode.PURPOSE_NOT_PERMITTED, _RULE)
    return None


def told(answer: Answer) -> dict[str, object]:
    """Write an answer as its JSON object."""
    return {
        "agreed": answer.agreed,
        "reasons": [
            {"code": r.code, "rule": r.rule, "title": r.title, "remedy": r.remedy}
            for r in answer.reasons
        ],
        "until": answer.until,
        "categories": dict(answer.categories),
        "obligations": list(answer.obligations),
        "basis": answer.basis,
    }


_OWN = frozenset(Question.model_fields) | frozenset(AskedBy.model_fields)


def malformed(fault: RequestValidationError) -> str:
    """Say which of our own fields is wrong; names and values made up by the caller stay unsaid."""
    named = [str(part) for error in fault.errors() for part in error["loc"] if part in _OWN]
    if not named:
        return "the request is not what this address expects"
    return f"the field {named[-1]} is missing or malformed"
