"""One person's history: what every part of the service knows of them, newest first.

Each source gives its latest entries. `mailer` adds its own when it starts: here nobody has heard of
an edition.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import groupby

from django.db.models import F, Q
from django.db.models.functions import Coalesce

from subscribers import consent
from subscribers.models import (
    ConsentEvent,
    ConsentKind,
    ServiceMail,
    ServiceMailKind,
    Subscriber,
    SubscriberImport,
    Subscription,
)

PAGE = 50  # entries
LAST_PAGE = 200  # 10,000 entries: a daily mail for 27 years


@dataclass(frozen=True)
class Entry:
    """One line of a history. Texts may hold what strangers wrote: whoever shows them escapes."""

    at: datetime  # UTC
    source: str  # the name of its Source
    number: int  # of its row; orders what happened at the same instant
    word: str  # its state, in one word
    title: str
    facts: list[str] = field(default_factory=list)
    wording: str = ""  # the very words that were agreed to
    path: str = ""  # where more of it is shown
    written_by: int | None = None  # the number of a note's author


Latest = Callable[[Subscriber, int], Iterable[Entry]]


@dataclass(frozen=True)
class Source:
    """Where entries come from. `latest(subscriber, limit)` gives the newest, newest first."""

    name: str
    label: str
    permission: str  # who lacks it does not see these entries
    latest: Latest


SOURCES: dict[str, Source] = {}


def add(source: Source) -> None:
    """Have another source in every history from now on. Twice is once."""
    SOURCES[source.name] = source


@dataclass(frozen=True)
class Day:
    on: date
    entries: list[Entry]


@dataclass(frozen=True)
class Page:
    number: int
    days: list[Day]
    has_older: bool


def page(subscriber: Subscriber, *, sources: Collection[str], number: int = 1) -> Page:
    """One page of a history, 1 the newest, from these sources only. One query for each source.

    What happens while somebody reads moves entries to later pages: one may be seen twice, none
    is missed. A page further back reads all before it as well, which one person's rows allow.
    """
    number = min(max(number, 1), LAST_PAGE)
    end = number * PAGE
    entries = [entry for name in sources for entry in SOURCES[name].latest(subscriber, end + 1)]
    entries.sort(key=lambda entry: (entry.at, entry.source, entry.number), reverse=True)
    shown = entries[end - PAGE : end]
    days = [Day(on, list(its)) for on, its in groupby(shown, key=lambda entry: entry.at.date())]
    return Page(number, days, has_older=len(entries) > end and number < LAST_PAGE)


# --- what is known upstream of editions ---

CONSENT_TITLES: dict[str, str] = {
    ConsentKind.ASKED: "Asked for",
    ConsentKind.CONFIRMED: "Confirmed",
    ConsentKind.CHANGED: "Changed",
    ConsentKind.LEFT: "Left",
    ConsentKind.SUPPRESSED: "Mail was stopped",
    ConsentKind.ERASED: "Erased",
}
WITHOUT_NEWSLETTER: dict[str, str] = {
    ConsentKind.ASKED: "Asked",
    ConsentKind.CHANGED: "Changed how mail comes",
    ConsentKind.LEFT: "Left",
}


def _consent(subscriber: Subscriber, limit: int) -> Iterable[Entry]:
    events = ConsentEvent.objects.filter(subscriber=subscriber).select_related("newsletter")
    for event in events.order_by("-at", "-pk")[:limit]:
        topics = event.topics.replace(",", ", ")
        yield Entry(
            event.at,
            "consent",
            event.pk,
            word=event.kind,
            title=_consent_title(event),
            facts=[*([f"Topics: {topics}"] if topics else []), f"From: {event.source}"],
            wording=consent.shown(event),
        )


def _consent_title(event: ConsentEvent) -> str:
    title = CONSENT_TITLES[event.kind]
    if event.newsletter is None:
        return WITHOUT_NEWSLETTER.get(event.kind, title)
    return f"{title}: {event.newsletter}"


MAIL_TITLES: dict[str, str] = {
    ServiceMailKind.CONFIRMATION: "Mail that asks for confirmation",
    ServiceMailKind.INVITATION: "Invitation",
    ServiceMailKind.WELCOME: "Welcome",
    ServiceMailKind.PREFERENCES: "Mail with the preferences link",
    ServiceMailKind.NEW_ADDRESS: "Mail to a new address, to prove it",
    ServiceMailKind.OLD_ADDRESS: "Mail to the old address, to tell of the change",
}


def _service_mails(subscriber: Subscriber, limit: int) -> Iterable[Entry]:
    mails = ServiceMail.objects.filter(subscriber=subscriber).select_related("newsletter")
    for mail in mails.order_by("-asked_at", "-pk")[:limit]:
        kind = MAIL_TITLES[mail.kind]
        yield Entry(
            mail.asked_at,
            "mail",
            mail.pk,
            word=mail.state,
            title=f"{kind}: {mail.newsletter}" if mail.newsletter else kind,
            facts=_mail_facts(mail),
        )


def _mail_facts(mail: ServiceMail) -> list[str]:
    facts = []
    if mail.settled_at:
        facts.append(f"{mail.state.capitalize()} on {instant(mail.settled_at)}")
    if mail.attempts > 1:
        facts.append(f"{mail.attempts} tries")
    if mail.reason:
        facts.append(f"The server's answer: {mail.reason}")
    if mail.used_at:
        facts.append(f"Its link was used, or ended, on {instant(mail.used_at)}")
    return facts


def _imports(subscriber: Subscriber, limit: int) -> Iterable[Entry]:
    places = Subscription.objects.filter(subscriber=subscriber, imported_by__isnull=False)
    imports = SubscriberImport.objects.filter(
        Q(pk=subscriber.imported_by_id) | Q(pk__in=places.values("imported_by"))
    ).annotate(at=Coalesce("applied_at", "created_at"))
    for each in imports.order_by("-at", "-pk")[:limit]:
        yield Entry(
            each.at,
            "import",
            each.pk,
            word="imported",
            title=f"In a file: {each.name}",
            facts=[f"Where they agreed: {each.source}"],
        )


def _notes(subscriber: Subscriber, limit: int) -> Iterable[Entry]:
    notes = subscriber.notes.annotate(author_name=F("author__username"))
    for note in notes.order_by("-at", "-pk")[:limit]:
        yield Entry(
            note.at,
            "note",
            note.pk,
            word="note",
            title=f"{note.author_name} wrote",
            facts=[note.text],
            written_by=note.author_id,
        )


def instant(at: datetime) -> str:
    """A moment in words, UTC."""
    return f"{at.day} {at:%b %Y, %H:%M}"


add(Source("consent", "Consent and changes", "subscribers.view_consentevent", _consent))
add(Source("mail", "Service mails", "subscribers.view_servicemail", _service_mails))
add(Source("import", "Imports", "subscribers.view_subscriberimport", _imports))
add(Source("note", "Notes", "subscribers.view_subscribernote", _notes))
