"""Routes of REST, to be mounted under `/api` on the pages' origin."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from troth.doors.problems import MEDIA_TYPE, on_fault, problem
from troth.doors.rest import changes
from troth.doors.rest.errors import ParameterInvalid
from troth.doors.rest.gate import Gate
from troth.doors.rest.ports import Rooms
from troth.kit.errors import TrothError

_PROBLEMS = {
    400: "A parameter is not known, stands twice or cannot be understood; or the ledger has not come to the offset.",
    401: "There is no bearer token, or it counts no more.",
    404: "There is nothing here for this token.",
    429: "As many requests of the token (4) or its organisation (32) wait already as may.",
    503: "There is no room to wait at present, or a part does not answer.",
}
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "hint": {"type": "string"},
    },
}


class _Api(FastAPI):
    """Describes its answers as they are: problems, and a bearer token for all but the description."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        if self.openapi_schema is None:
            made = super().openapi()
            components = made.setdefault("components", {})
            schemas = {
                name: one for name, one in components.get("schemas", {}).items() if "ValidationError" not in name
            }
            components["schemas"] = {**schemas, "Problem": _SCHEMA}
            components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            made["security"] = [{"token": []}]
            said = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
            for operations in made["paths"].values():
                for operation in operations.values():
                    operation["responses"].pop("422", None)
                    for status, words in _PROBLEMS.items():
                        operation["responses"][str(status)] = {"description": words, "content": said}
            self.openapi_schema = made
        return self.openapi_schema


def create(rooms: Rooms) -> FastAPI:
    """Make the REST door.

    Args:
        rooms: What the platform gives this door.

    Returns:
        An ASGI application.
    """
    app = _Api(
        title="Troth",
        version="1",
        summary="What changed in the archive, for other systems of the same organisation.",
        servers=[{"url": "/api"}],
        root_path_in_servers=False,
        docs_url=None,  # their pages load scripts of strangers
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers={
            TrothError: on_fault,
            HTTPException: on_fault,
            RequestValidationError: _malformed,
            Exception: on_fault,
        },
    )
    app.include_router(changes.router(Gate(rooms)))
    return app


async def _malformed(_http_request: Request, _fault: Exception) -> Response:
    """What was sent is not repeated: anybody can write anything into a query."""
    return problem(ParameterInvalid(hint="after, limit and wait are whole numbers; see openapi.json."))
