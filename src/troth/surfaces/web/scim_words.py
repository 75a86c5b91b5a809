"""What the SCIM server says of itself: names of RFC 7643, and the little of a user it knows."""

from typing import Any, Final

_CORE: Final = "urn:ietf:params:scim:schemas:core:2.0:"
_API: Final = "urn:ietf:params:scim:api:messages:2.0:"
USER: Final = f"{_CORE}User"
LIST: Final = f"{_API}ListResponse"
PATCH: Final = f"{_API}PatchOp"
ERROR: Final = f"{_API}Error"


def _attribute(name: str, said: str, kind: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {
        "name": name,
        "type": kind,
        "multiValued": False,
        "description": said,
        "required": False,
        "mutability": "readWrite",
        "returned": "default",
        **({"caseExact": True, "uniqueness": "none"} if kind == "string" else {}),
        **more,
    }


def _schema(base: str, ident: str, name: str, attributes: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "schemas": [f"{_CORE}Schema"],
        "id": ident,
        "name": name,
        "description": name,
        "attributes": attributes,
        "meta": {"resourceType": "Schema", "location": f"{base}/Schemas/{ident}"},
    }


def schemas(base: str) -> list[dict[str, Any]]:
    """Return the schemas, for `/Schemas`: of a user, no more than is kept."""
    user = [
        _attribute("userName", "The id, as troth.toml lists it.", "string",
                   required=True, uniqueness="server", mutability="immutable"),
        _attribute("active", "Whether they may sign in.", "boolean"),
    ]  # fmt: skip
    return [_schema(base, USER, "User", user)]


def types(base: str) -> list[dict[str, Any]]:
    """Return the kinds of resource, for `/ResourceTypes`."""
    return [
        {
            "schemas": [f"{_CORE}ResourceType"],
            "id": "User",
            "name": "User",
            "endpoint": "/Users",
            "description": "A member of staff",
            "schema": USER,
            "meta": {"resourceType": "ResourceType", "location": f"{base}/ResourceTypes/User"},
        }
    ]


def config_of(base: str, most: int) -> dict[str, Any]:
    """Return what this server can do, for `/ServiceProviderConfig`."""
    return {
        "schemas": [f"{_CORE}ServiceProviderConfig"],
        "patch": {"supported": True},
        "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": True, "maxResults": most},
        "changePassword": {"supported": False},
        "sort": {"supported": False},
        "etag": {"supported": False},
        "authenticationSchemes": [
            {
                "type": "oauthbearertoken",
                "name": "Bearer key",
                "description": "The key made by: troth staff scim-key",
                "specUri": "https://www.rfc-editor.org/info/rfc6750",
                "primary": True,
            }
        ],
        "meta": {
            "resourceType": "ServiceProviderConfig",
            "location": f"{base}/ServiceProviderConfig",
        },
    }
