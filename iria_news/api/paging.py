"""Lists in pages, by a cursor: new rows at the head neither repeat nor hide a row further down."""

from iria_news import keys
from iria_news.api import problems

PURPOSE = "api-cursor"


def cursor(row: int) -> str:
    """Where the next page begins: behind this row. Signed, so that it is no way to ask for rows."""
    return keys.short_token(PURPOSE, row)


def read_cursor(text: str) -> int:
    """Return the number of a row, which may be gone by now. Raises Problem."""
    try:
        return keys.read_short_token(PURPOSE, text)
    except keys.BadKey as error:
        raise bad_cursor() from error


def bad_cursor() -> problems.Problem:
    return problems.mistake(
        "query/cursor", "This is no “next” of ours, or its row is gone. Begin without a cursor."
    )
