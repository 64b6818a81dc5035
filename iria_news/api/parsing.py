"""What came in, read strictly: JSON in UTF-8 of a modest size, no field that nobody knows."""

import functools
import json
from collections.abc import Callable, Sequence
from typing import Any

from django.http import HttpRequest
from ninja import Schema
from ninja.parser import Parser
from pydantic import ConfigDict

from iria_news.api import problems

MOST_BYTES = 64 * 1024  # the largest honest body is a few kilobytes of slugs


class Strict(Schema):
    """A body or a set of filters. An unknown field is a mistake, not noise (C10)."""

    model_config = ConfigDict(extra="forbid")


class StrictParser(Parser):
    def parse_body(self, request: HttpRequest) -> dict[str, Any]:
        """Return the body's object. Raises Problem: 400, 413 or 415."""
        if request.content_type != "application/json":
            raise problems.Problem(415, "Send JSON, with “Content-Type: application/json”.")
        if len(request.body) > MOST_BYTES:
            raise problems.Problem(413)
        try:
            return json.loads(  # type: ignore[no-any-return]  # what it is, the schema judges
                request.body.decode(), parse_constant=_refuse, object_pairs_hook=_object
            )
        except (ValueError, RecursionError) as error:
            raise problems.Problem(
                400, "The body is no JSON in UTF-8, or names a field twice. Send one JSON object."
            ) from error


def refuse_unknown_parameters(view: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a route: a filter that does not exist must not look as if it had worked.

    Each parameter stands once: of two values one would be ignored.
    """
    operation = view._ninja_operation  # type: ignore[attr-defined]  # noqa: SLF001  # no other way
    known = {
        name
        for model in operation.models
        if model.__ninja_param_source__ == "query"
        for name in model.__ninja_flatten_map__
    }

    @functools.wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        unknown = [name for name in request.GET if name not in known]
        repeated = [name for name, values in request.GET.lists() if len(values) > 1]
        if unknown or repeated:
            raise problems.mistakes(
                [
                    (f"query/{name[:60]}", "There is no such filter. Leave it out.")
                    for name in unknown
                ]
                + [
                    (f"query/{name[:60]}", "This stands here twice. Give it once.")
                    for name in repeated
                ]
            )
        return view(request, *args, **kwargs)

    return wrapper


def _refuse(name: str) -> None:
    raise ValueError(f"JSON knows no {name}")  # Python's reader does


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """RFC 8259 section 4: with a name twice, programs differ in what they see."""
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a name stands twice")
    return content
