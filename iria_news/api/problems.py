"""Errors of the API: problem details (RFC 9457), each with a sentence that says what to do."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from django.http import HttpRequest, HttpResponseBase, JsonResponse

log = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
DESCRIPTION = "/api/v1/openapi.json"

# For whatever failed before or behind a route, where nothing more precise is known.
GENERAL = {
    400: "The request cannot be read. Compare it with the description at " + DESCRIPTION + ".",
    401: "Send a key that is not revoked, in the header “Authorization: Bearer iria_...”.",
    403: "The key may not do this. Ask whoever issued it.",
    404: "There is nothing at this address. What there is stands in " + DESCRIPTION + ".",
    405: "This address takes other methods: see the header “Allow”.",
    413: "The body is larger than we take. Send less at once.",
    500: "The mistake is ours and is in our logs. Nothing was changed; try again in a minute.",
}


class Problem(Exception):
    """Why a request was refused. `detail` is for a person, `members` are for a program."""

    def __init__(
        self,
        status: int,
        detail: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        **members: object,
    ) -> None:
        super().__init__(status)
        self.status = status
        self.detail = detail or GENERAL.get(status, GENERAL[400 if status < 500 else 500])
        self.headers = dict(headers or {})
        self.members = members


def answer(problem: Problem) -> JsonResponse:
    content = {
        "type": "about:blank",  # RFC 9457 section 4.2.1: the title is that of the status
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        **problem.members,
    }
    return JsonResponse(
        content, status=problem.status, content_type=CONTENT_TYPE, headers=problem.headers
    )


def is_problem(response: HttpResponseBase) -> bool:
    return response.headers.get("Content-Type", "") == CONTENT_TYPE


def unauthorised() -> Problem:
    # RFC 9110 section 11.6.1: a 401 names the scheme it waits for.
    return Problem(401, headers={"WWW-Authenticate": 'Bearer realm="api"'})


def unforeseen(request: HttpRequest, error: Exception) -> JsonResponse:
    """Log the error with its trace, and show nothing of it (W20)."""
    log.error("%s to the API failed", request.method, exc_info=error)
    return answer(Problem(500))


LONGEST_PART = 60  # characters of a name that somebody made up

# What pydantic calls a mistake -> what to do about it. Its own words may quote what was sent.
SENTENCES = {
    "missing": "This field is needed.",
    "extra_forbidden": "There is no such field. Leave it out.",
    "string_type": "This takes a text.",
    "string_unicode": "This text holds half a character. Send whole ones, in UTF-8.",
    "string_too_short": "This text is too short: at least {min_length} characters.",
    "string_too_long": "This text is too long: at most {max_length} characters.",
    "string_pattern_mismatch": "This text does not look like what is expected: {pattern}",
    "int_type": "This takes a whole number.",
    "bool_type": "This takes true or false.",
    "list_type": "This takes a list.",
    "dict_type": "This takes an object.",
    "model_type": "This takes an object.",
    "model_attributes_type": "This takes an object.",
    "too_short": "Give at least {min_length} of these.",
    "too_long": "Give at most {max_length} of these.",
    "greater_than_equal": "The smallest is {ge}.",
    "less_than_equal": "The largest is {le}.",
    "literal_error": "This is one of {expected}.",
    "value_error": "{error}",
}


def mistakes(found: Sequence[tuple[str, str]]) -> Problem:
    """All mistakes of a request: where (`body/newsletters/0`), and what to do about each."""
    return Problem(
        422,
        "Something in the request has to be put right. “errors” says what; nothing was changed.",
        errors=[{"at": at, "detail": detail} for at, detail in found],
    )


def mistake(at: str, detail: str) -> Problem:
    return mistakes([(at, detail)])


def place(loc: Sequence[str | int]) -> str:
    """Where pydantic found a mistake; without the name that the body has in our code."""
    source, *rest = loc
    within = rest[1:] if source == "body" else rest
    return "/".join(str(part)[:LONGEST_PART] for part in (source, *within))


def sentence(kind: str, facts: Mapping[str, object]) -> str:
    """What to do about a mistake of this kind. `facts` are pydantic's, such as a limit."""
    template = SENTENCES.get(kind)
    if template is None:
        return "This is not what the description says. See " + DESCRIPTION + "."
    return template.format_map(facts)
