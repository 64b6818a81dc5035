"""Fields that several routes take, with what they refuse."""

from typing import Annotated

from pydantic import Field, Strict

# What a SlugField holds. The limits are those of the columns, and generous for lists.
SLUG = r"^[A-Za-z0-9_-]+$"
Slug = Annotated[str, Strict(), Field(min_length=1, max_length=60, pattern=SLUG)]
Slugs = Annotated[list[Slug], Field(min_length=1, max_length=100)]
# Only what no address exceeds by far: `addresses.parse` says what is wrong with it.
Email = Annotated[
    str,
    Strict(),
    Field(min_length=1, max_length=1000, json_schema_extra={"format": "email"}),
]
