"""What people agreed to, in the very words they were shown. Consent events are only ever added."""

from collections.abc import Iterable, Sequence

from django.conf import settings
from django.db.models import Max, QuerySet
from django.utils import translation
from django.utils.translation import gettext, gettext_noop

from iria_news import languages
from iria_news.articles.models import Topic
from subscribers.models import ConsentEvent, ConsentKind, EventKind, Newsletter, Subscriber
from subscribers.webhooks import events
from subscribers.webhooks.events import Happening

# A version never changes its words, in no language: an event points here, and names the language.
# New words get a new version, and the old ones stay, here and in the catalogues, for as long as an
# event names them. What no page of ours shows is in English only.
WORDINGS = {
    "form-2026-11": gettext_noop(
        "By subscribing you ask us to send you the newsletters ticked above. "
        "We keep your address, your choices and the time you agreed."
    ),
    "band-2026-11": gettext_noop("We send one mail to confirm. Leave with one click."),
    "confirm-2026-11": gettext_noop(
        "By pressing the button you agree that we send you these newsletters until you say stop; "
        "every mail has a link for that."
    ),
    "choose-2026-11": gettext_noop("We send you what is ticked here until you say stop."),
    "leave-2026-11": gettext_noop("Leaving takes one press and needs no reason."),
    "less-2026-11": gettext_noop(
        "What you choose or take back here, we send you until you say stop; every mail has a link "
        "for that."
    ),
    "address-2026-11": gettext_noop(
        "By pressing the button you agree that we write to this address from now on, and no more "
        "to the earlier one."
    ),
    "erase-2026-11": gettext_noop(
        "Erasing removes your address, your choices and your history from our records, for good. "
        "We keep only a one-way mark, so that no import can bring you back."
    ),
    "invite-2026-11": (
        "We invited this address by mail. Nothing is sent unless its reader presses the button."
    ),
    "api-2026-11": (
        "You ask us to send you these newsletters. We keep your address, your choices and the "
        "time you agreed. We send one mail to confirm. Leave with one click."
    ),
    "import": "Agreed to elsewhere, as the row of a file says: its words are kept by who sent it.",
    "none": "No words were shown: nobody pressed a button of ours.",
}
FORM = "form-2026-11"  # the page with newsletters and topics
BAND = "band-2026-11"  # the small form below every article
INVITE = "invite-2026-11"  # the mail with an invitation; its page has the words of CONFIRM
API = "api-2026-11"  # shown by somebody else's form, whose program says so
CONFIRM = "confirm-2026-11"
CHOOSE = "choose-2026-11"
LEAVE = "leave-2026-11"
LESS = "less-2026-11"  # the page after leaving: less instead of nothing, or all of it back
ADDRESS = "address-2026-11"
ERASE = "erase-2026-11"
IMPORT = "import"
NONE = "none"


def words(version: str, language: str = "") -> str:
    """The words of a version as they are shown in a language, or in that which is spoken now."""
    with translation.override(language or languages.current()):
        return gettext(WORDINGS[version])


def shown(event: ConsentEvent) -> str:
    """The very words that were shown; the name of a version that there is no more."""
    return words(event.wording, event.language) if event.wording in WORDINGS else event.wording


def language_of(version: str, language: str = "") -> str:
    """The language in which `words` gives a version: English where there is no translation."""
    spoken = languages.supported(language or languages.current())
    is_translated = words(version, spoken) != WORDINGS[version]
    return spoken if is_translated else settings.LANGUAGE_CODE


def record(
    subscriber: Subscriber,
    kind: ConsentKind,
    *,
    wording: str,
    source: str,
    newsletter: Newsletter | None = None,
    topics: Iterable[Topic] = (),
    language: str = "",
) -> ConsentEvent:
    """Append one event, and have the endpoints told that want to know (docs/webhooks.md).

    `wording` is a version of WORDINGS, `source` a page, mail or file. `language` is that of the
    page which showed the words; it is needed only where another one is spoken now.
    """
    event = ConsentEvent.objects.create(
        subscriber=subscriber,
        newsletter=newsletter,
        kind=kind,
        wording=_known(wording),
        language=language_of(wording, language),
        source=source[:200],
        topics=slugs(topics),
    )
    events.emit_all(_told([event]))
    return event


def record_all(rows: Sequence[ConsentEvent]) -> None:
    """Append many events at once, as `record` does one; readers and newsletters come loaded."""
    ConsentEvent.objects.bulk_create(rows)
    events.emit_all(_told(rows))


def newest() -> int:
    """The number of the newest event, for `tell`."""
    return ConsentEvent.objects.aggregate(newest=Max("pk"))["newest"] or 0


def tell(rows: QuerySet[ConsentEvent]) -> None:
    """Have the endpoints told of events that a statement appended, in the same transaction.

    One query if nobody wants to know.
    """
    appended = rows.select_related("subscriber", "newsletter").order_by("pk")
    events.emit_all(_told(appended.iterator(events.PAGE)))


# A suppression is told by `suppression`, which knows why.
TOLD_AS = {
    ConsentKind.ASKED: EventKind.SUBSCRIBED,
    ConsentKind.CONFIRMED: EventKind.CONFIRMED,
    ConsentKind.CHANGED: EventKind.CHANGED,
    ConsentKind.LEFT: EventKind.UNSUBSCRIBED,
}


def _told(rows: Iterable[ConsentEvent]) -> Iterable[Happening]:
    """What endpoints hear of consent events, read one by one and only if somebody listens."""
    for row in rows:
        kind = TOLD_AS.get(ConsentKind(row.kind))
        if row.kind == ConsentKind.ERASED:  # no address, and nothing that goes with the person
            yield Happening(EventKind.ERASED, facts={"subscriber": {"id": row.subscriber_id}})
        elif kind:
            topics = [slug for slug in row.topics.removesuffix("…").split(",") if slug]
            facts = {"topics": topics, "source": row.source}
            yield Happening(kind, row.subscriber, row.newsletter, facts)


def _known(wording: str) -> str:
    if wording not in WORDINGS:
        raise ValueError(f"There is no wording {wording!r}: nobody could say what was agreed to.")
    return wording


def slugs(topics: Iterable[Topic]) -> str:
    """As many whole slugs as the column holds; an ellipsis says that there were more."""
    slugs = ",".join(topic.slug for topic in topics)
    return slugs if len(slugs) <= 500 else slugs[:499].rpartition(",")[0] + "…"
