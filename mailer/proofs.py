"""Proofs over all editions, from rows: nobody got an article twice, and nobody missed one.

Reads only, page by page of readers. docs/proofs.md says what exactly is proved, and what is not.
"""

from collections.abc import Sequence

from mailer import dialect
from mailer import proof_tables as tables
from mailer.proved import Proofs

PAGE = 20_000  # readers, as in a freeze
MOST_EXAMPLES = 10  # findings that are told one by one


def prove() -> Proofs:
    """Read every edition that is frozen, and every reader's part in it.

    Takes minutes for a million readers, and no memory here that grows with them. May run while
    mails go out; an edition that is frozen meanwhile is not yet asked about.
    """
    found = Proofs()
    tables.drop(tables.FOR_ALL_PAGES)
    try:
        for name, select in tables.FOR_ALL_PAGES.items():
            tables.make(name, select)
        [(found.articles,)] = dialect.fetch("SELECT COUNT(*) FROM proof_article")
        after = 0
        while (page := _next_page(after)) is not None:
            readers, upto = page
            found.readers += readers
            _prove_page(found, after, upto)
            after = upto
    finally:
        tables.drop(tables.FOR_ALL_PAGES)
        tables.drop(tables.OF_A_PAGE)
    return found


def _next_page(after: int) -> tuple[int, int] | None:
    """How many readers the next page has, and the last of them; None when nobody is left."""
    sql = """
        SELECT COUNT(*), MAX(id) FROM (
            SELECT id FROM subscribers_subscriber WHERE id > %s ORDER BY id LIMIT %s
        ) AS page
    """
    [(readers, upto)] = dialect.fetch(sql, [after, PAGE])
    return (int(readers), int(upto)) if readers else None


def _prove_page(found: Proofs, after: int, upto: int) -> None:
    span = [after, upto]
    tables.make("proof_has", tables.HAS, span)
    tables.make("proof_place", tables.PLACE, [*span, *span])
    tables.make("proof_lacks", tables.LACKS)
    [(received, overlaps)] = dialect.fetch(
        "SELECT COALESCE(SUM(articles), 0), COUNT(CASE WHEN total <> mask THEN 1 END) "
        "FROM proof_has"
    )
    found.received += int(received)
    if overlaps:
        _tell_repeated(found, span)
    if dialect.fetch("SELECT 1 FROM proof_lacks LIMIT 1"):
        _judge(found)
    if dialect.fetch("SELECT 1 FROM proof_told LIMIT 1"):
        _prove_corrections(found, span)


def _tell_repeated(found: Proofs, span: Sequence[int]) -> None:
    tables.make("proof_repeated", tables.REPEATED, span)
    [(times,)] = dialect.fetch("SELECT COALESCE(SUM(times - 1), 0) FROM proof_repeated")
    found.repeated += int(times)
    _tell(
        found,
        "Reader {} received article {} {} times.",
        "SELECT subscriber_id, article_id, times FROM proof_repeated",
    )


def _judge(found: Proofs) -> None:
    """Look at each article that somebody lacks: which edition owed it, and is there an excuse?"""
    tables.make("proof_verdict", tables.VERDICT)
    counts = dialect.fetch("SELECT verdict, COUNT(*) FROM proof_verdict GROUP BY verdict")
    found.due.update({tables.VERDICTS[verdict]: count for verdict, count in counts})
    _tell(found, "Reader {} of newsletter {} missed article {}.", tables.MISSED)


def _prove_corrections(found: Proofs, span: Sequence[int]) -> None:
    tables.make("proof_heard", tables.HEARD, [*span, *span])
    [(told, repeated, astray)] = dialect.fetch(
        "SELECT COALESCE(SUM(times), 0), COALESCE(SUM(times - 1), 0), COALESCE(SUM(astray), 0) "
        "FROM proof_heard"
    )
    found.corrections += int(told)
    found.corrections_repeated += int(repeated)
    found.corrections_astray += int(astray)
    heard = "SELECT subscriber_id, correction_id, times FROM proof_heard WHERE"
    _tell(found, "Reader {} was told correction {} {} times.", f"{heard} times > 1")
    _tell(
        found, "Reader {} was told correction {} of a text not sent to them.", f"{heard} astray = 1"
    )


def _tell(found: Proofs, sentence: str, rows: str) -> None:
    """Keep the first findings as sentences: numbers of rows, never an address."""
    room = MOST_EXAMPLES - len(found.examples)
    if room > 0:
        some = dialect.fetch(f"{rows} ORDER BY 1, 2, 3 LIMIT {room}")
        found.examples += [sentence.format(*row) for row in some]
