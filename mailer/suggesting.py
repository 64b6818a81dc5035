"""What a subject and a preheader could be, and what speaks against one. Makes no query."""

from collections.abc import Sequence

from mailer import wording
from mailer.contents import Facts, Item

SUGGESTED = 3
LONG_SUBJECT = 60  # characters; lists of mails on a desk cut about there
PHONE = 40  # characters of a subject that phones show
PREHEADER = (90, wording.PREHEADER)  # characters; less lets the text of the mail follow


def subjects(facts: Facts, items: Sequence[Item]) -> list[str]:
    """Three subjects, made of the lead, the number of articles and the topics; none without any."""
    if not items:
        return []
    lead = items[0]
    topics = list(dict.fromkeys(topic for item in items for topic in item.topics[:1]))
    made = [
        wording.subject_for(items),
        lead.title,
        f"{', '.join(topics[:SUGGESTED])}: {lead.title}" if topics else "",
        f"{facts.newsletter_name}: {lead.title}",
    ]
    return [subject for subject in dict.fromkeys(made) if subject][:SUGGESTED]


def preheader(items: Sequence[Item]) -> str:
    return wording.preheader_for(items) if items else ""


def warnings(subject: str, *, last: str) -> list[str]:
    """Sentences about a subject; `last` is that of the edition before."""
    said = []
    if len(subject) > LONG_SUBJECT:
        said.append(f"Long: {len(subject)} characters, and phones show about {PHONE}.")
    if subject and subject.casefold() == last.casefold():
        said.append("The last edition had the same subject.")
    return said
