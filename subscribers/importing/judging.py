"""What each row of a page would do, or does: one word for each, worked out in sets."""

from enum import StrEnum

from subscribers.importing import staging

UNDONE = "import undone"  # ended_by of a place that only an import had begun


class Outcome(StrEnum):
    """In the order in which one of them stands for a row with several newsletters."""

    PROVED = "proved"  # new; the row carries where and when its reader agreed
    ASKED = "asked"  # new; the reader is asked by mail, and gone after 7 days without an answer
    SUPPRESSED = "suppressed"  # we stopped writing to this address
    LEFT = "left"  # unsubscribed, or moved to another address; only the reader comes back
    WAITING = "waiting"  # was asked to confirm something, and has not answered yet
    THERE = "there"  # on this newsletter already; nothing changes
    REFUSED = "refused"  # see the reasons


WRITES = f"('{Outcome.PROVED}', '{Outcome.ASKED}')"
_OF_PERSON = (
    "SELECT 1 FROM subscribers_subscription s WHERE s.subscriber_id = import_line.person_id"
)
_OPEN = f"{_OF_PERSON} AND s.ended_at IS NULL"
_ENDED = f"{_OF_PERSON} AND s.ended_at IS NOT NULL AND s.ended_by <> '{UNDONE}'"
# A mail of ours waits for an answer, and its button would begin our place as well.
_HAS_QUESTION = f"EXISTS ({_OPEN} AND s.confirmed_at IS NULL)"
_HERE = "AND s.newsletter_id = import_line.newsletter_id"


def judge(import_id: int | None) -> dict[Outcome, int]:
    """Give every line of the page its outcome; return how many rows have which.

    Inside a transaction it keeps the people it found until the commit, so that nobody leaves
    between the verdict and the writing. Writes nothing but the temporary table.
    """
    _find_people(import_id)
    if import_id is not None:
        _keep_people()
    staging.execute(
        f"""
        UPDATE import_line SET outcome = CASE
            WHEN said <> '' THEN said
            WHEN EXISTS (
                SELECT 1 FROM subscribers_suppression x WHERE x.address_hash = import_line.hash
            ) THEN '{Outcome.SUPPRESSED}'
            WHEN person_id IS NULL AND EXISTS (
                SELECT 1 FROM subscribers_formeraddress f WHERE f.address_hash = import_line.hash
            ) THEN '{Outcome.LEFT}'
            WHEN person_id IS NULL THEN {_new()}
            WHEN EXISTS ({_OPEN} {_HERE} AND s.confirmed_at IS NOT NULL) THEN '{Outcome.THERE}'
            WHEN EXISTS ({_OPEN} {_HERE}) THEN '{Outcome.WAITING}'
            WHEN EXISTS ({_ENDED} {_HERE}) THEN '{Outcome.LEFT}'
            WHEN EXISTS ({_ENDED}) AND NOT EXISTS ({_OPEN}) THEN '{Outcome.LEFT}'
            WHEN is_ours THEN {_new()}
            WHEN state <> 'active' THEN '{Outcome.WAITING}'
            WHEN consented_at IS NULL AND {_HAS_QUESTION} THEN '{Outcome.WAITING}'
            ELSE {_new()}
        END
        """  # noqa: S608  # constants of ours
    )
    return outcomes_of_rows()


def outcomes_of_rows() -> dict[Outcome, int]:
    ranks = " ".join(f"WHEN '{word}' THEN {rank}" for rank, word in enumerate(Outcome))
    found = staging.fetch(
        f"""
        SELECT rank, COUNT(*) FROM (
            SELECT MIN(CASE outcome {ranks} END) AS rank FROM import_line GROUP BY number
        ) AS of_row GROUP BY rank
        """  # noqa: S608  # constants of ours
    )
    words = list(Outcome)
    return {words[rank]: number for rank, number in found}


def _find_people(import_id: int | None) -> None:
    staging.execute(
        """
        UPDATE import_line SET person_id = p.id, state = p.state,
            is_ours = COALESCE(p.imported_by_id = %s, false)
        FROM subscribers_subscriber p WHERE p.address_key = import_line.key
        """,
        [import_id],
    )


def _keep_people() -> None:
    """In the order of their numbers, as two imports at once would otherwise wait for each other."""
    if locked := staging.locked():
        staging.execute(
            f"""
            SELECT id FROM subscribers_subscriber
            WHERE id IN (SELECT person_id FROM import_line) ORDER BY id {locked}
            """  # noqa: S608  # constants of ours
        )


def _new() -> str:
    """Proof begins a place at once, but never makes somebody active who waits for a mail."""
    return f"""CASE WHEN consented_at IS NOT NULL AND COALESCE(state, 'active') = 'active'
        THEN '{Outcome.PROVED}' ELSE '{Outcome.ASKED}' END"""
