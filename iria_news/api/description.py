"""The API as one object, and its description (OpenAPI 3.1) with every answer it may give."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.openapi.schema import OpenAPISchema
from ninja.operation import Operation

from iria_news.api import parsing, problems

ALWAYS = [401, 403, 422, 429, 500]
WITH_A_BODY = [400, 413, 415]
WITH_AN_ID = [404]

PROBLEM = {
    "title": "Problem",
    "description": "Problem details, RFC 9457.",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What happened, and what to do about it."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["at", "detail"],
                "properties": {
                    "at": {"type": "string", "description": "For example body/newsletters/0."},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}


class Api(NinjaAPI):
    """django-ninja with our manners: strict input, problem details, all of it described."""

    def __init__(self, **options: Any) -> None:
        super().__init__(docs_url=None, parser=parsing.StrictParser(), **options)
        self.add_decorator(parsing.refuse_unknown_parameters)

    def set_default_exception_handlers(self) -> None:
        for error, handler in HANDLERS.items():
            self.add_exception_handler(error, handler)

    def get_openapi_schema(self, **options: Any) -> OpenAPISchema:
        """Add to each route the problems it may answer with, and the scope it asks of a key."""
        schema = super().get_openapi_schema(**options)
        schema["components"]["schemas"]["Problem"] = PROBLEM
        scopes = self._scopes()
        for methods in schema["paths"].values():
            for operation in methods.values():
                _describe_problems(operation)
                for asked in operation["security"]:
                    for names in asked.values():
                        names.append(scopes[operation["operationId"]])
        return schema

    def _scopes(self) -> dict[str, str]:
        """Operation id -> scope. A route without a key would fail here: none is open."""
        return {
            str(operation.operation_id): _scope(operation)
            for bound in self._get_bound_routers()
            for view in bound.path_operations.values()
            for operation in view.operations
        }


def _scope(operation: Operation) -> str:
    [key] = operation.auth_callbacks
    return str(vars(key)["scope"])


def _describe_problems(operation: dict[str, Any]) -> None:
    statuses = [*ALWAYS, *operation.pop("x-problems", [])]
    if "requestBody" in operation:
        statuses += WITH_A_BODY
    if any(parameter["in"] == "path" for parameter in operation["parameters"]):
        statuses += WITH_AN_ID
    for status in sorted(set(statuses)):
        operation["responses"][status] = {
            "description": HTTPStatus(status).phrase,
            "content": {
                problems.CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}
            },
        }


def _problem(_request: HttpRequest, error: problems.Problem) -> HttpResponse:
    return problems.answer(error)


def _validation(_request: HttpRequest, error: ValidationError) -> HttpResponse:
    found = [
        (problems.place(each["loc"]), problems.sentence(each["type"], each.get("ctx", {})))
        for each in error.errors
    ]
    return problems.answer(problems.mistakes(found))


def _authentication(_request: HttpRequest, _error: AuthenticationError) -> HttpResponse:
    return problems.answer(problems.unauthorised())


def _http(_request: HttpRequest, error: HttpError) -> HttpResponse:
    """django-ninja wraps whatever the parser raises into one of these."""
    if isinstance(error.__cause__, problems.Problem):
        return problems.answer(error.__cause__)
    return problems.answer(problems.Problem(error.status_code))


def _too_big(_request: HttpRequest, _error: RequestDataTooBig) -> HttpResponse:
    return problems.answer(problems.Problem(413))


def _not_found(_request: HttpRequest, _error: Http404) -> HttpResponse:
    return problems.answer(problems.Problem(404))


# The most precise class of an error wins.
HANDLERS: dict[type[Exception], Callable[[HttpRequest, Any], HttpResponse]] = {
    problems.Problem: _problem,
    ValidationError: _validation,
    AuthenticationError: _authentication,
    HttpError: _http,
    RequestDataTooBig: _too_big,
    Http404: _not_found,
    Exception: problems.unforeseen,
}
