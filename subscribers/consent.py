"""What people agreed to, in the very words they were shown. Consent events are only ever added."""

from collections.abc import Iterable

from iria_news.articles.models import Topic
from subscribers.models import ConsentEvent, ConsentKind, Newsletter, Subscriber

# A version never changes its words: an event points here. New words get a new version, and the
# old ones stay for as long as an event names them.
WORDINGS = {
    "form-2026-11": (
        "By subscribing you ask us to send you the newsletters ticked above. "
        "We keep your address, your choices and the time you agreed."
    ),
    "band-2026-11": "We send one mail to confirm. Leave with one click.",
    "confirm-2026-11": (
        "By pressing the button you agree that we send you these newsletters until you say stop; "
        "every mail has a link for that."
    ),
    "choose-2026-11": "We send you what is ticked here until you say stop.",
    "leave-2026-11": "Leaving takes one press and needs no reason.",
    "none": "No words were shown: nobody pressed a button of ours.",
}
FORM = "form-2026-11"  # the page with newsletters and topics
BAND = "band-2026-11"  # the small form below every article
CONFIRM = "confirm-2026-11"
CHOOSE = "choose-2026-11"
LEAVE = "leave-2026-11"
NONE = "none"


def record(
    subscriber: Subscriber,
    kind: ConsentKind,
    *,
    wording: str,
    source: str,
    newsletter: Newsletter | None = None,
    topics: Iterable[Topic] = (),
) -> ConsentEvent:
    """Append one event. `wording` is a version of WORDINGS, `source` a page, mail or file."""
    return ConsentEvent.objects.create(
        subscriber=subscriber,
        newsletter=newsletter,
        kind=kind,
        wording=_known(wording),
        source=source[:200],
        topics=_slugs(topics),
    )


def _known(wording: str) -> str:
    if wording not in WORDINGS:
        raise ValueError(f"There is no wording {wording!r}: nobody could say what was agreed to.")
    return wording


def _slugs(topics: Iterable[Topic]) -> str:
    """As many whole slugs as the column holds; an ellipsis says that there were more."""
    slugs = ",".join(topic.slug for topic in topics)
    return slugs if len(slugs) <= 500 else slugs[:499].rpartition(",")[0] + "…"
