"""A reader's preferences as a program reads and changes them: field by field, each with a rule."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from django.utils import timezone
from ninja import Schema
from pydantic import BeforeValidator, Field, StrictBool

from iria_news.api import problems
from iria_news.api.parsing import Strict
from iria_news.articles.models import Topic
from subscribers import on_behalf, pausing, zones
from subscribers.api import fields
from subscribers.models import Newsletter, Subscriber, Subscription

LONGEST_PAUSE = timedelta(days=366)
Format = Literal["designed", "text"]


class Preferences(Schema):
    topics: dict[str, list[str]]  # newsletter -> topics
    zone: str | None
    hour: int | None
    format: Format
    paused_until: date | None
    wants_catch_up: bool
    refuses_tracking: bool


def _a_text(value: object) -> object:
    """Dates come as texts; pydantic would take a number of seconds as well."""
    if value is not None and not isinstance(value, str):
        raise ValueError("This takes a day such as 2026-12-24, in quotes.")
    return value


def _none() -> None:
    """For fields where null means something."""


class PreferencesPatch(Strict):
    """Every field may be left out, and then nothing happens to it: no default says so much."""

    topics: dict[fields.Slug, fields.Slugs] = Field(default_factory=dict, max_length=100)
    zone: Annotated[str, Field(strict=True, max_length=40)] | None = Field(default_factory=_none)
    hour: Annotated[int, Field(strict=True, ge=0, le=23)] | None = Field(default_factory=_none)
    format: Format = Field(default_factory=lambda: "designed")
    paused_until: Annotated[date | None, BeforeValidator(_a_text)] = Field(default_factory=_none)
    wants_catch_up: StrictBool = Field(default_factory=bool)
    refuses_tracking: StrictBool = Field(default_factory=bool)


def preferences_of(subscriber: Subscriber) -> Preferences:
    return Preferences(
        topics={
            place.newsletter.slug: [topic.slug for topic in place.topics.all()]
            for place in places(subscriber)
            if place.confirmed_at
        },
        zone=subscriber.zone or None,
        hour=subscriber.hour,
        format="text" if subscriber.wants_text else "designed",
        paused_until=_day_of_return(subscriber),
        wants_catch_up=subscriber.wants_catch_up,
        refuses_tracking=subscriber.refuses_tracking,
    )


def places(subscriber: Subscriber) -> list[Subscription]:
    """Where the reader is or asked to be; private newsletters are not for programs."""
    return list(
        subscriber.subscriptions.open()
        .filter(newsletter__is_private=False)
        .select_related("newsletter")
        .prefetch_related("topics", "newsletter__topics")
        .order_by("newsletter__slug")
    )


def changes(subscriber: Subscriber, patch: PreferencesPatch) -> on_behalf.Changes:
    """What was sent, and nothing that was not. Raises Problem with what to put right."""
    sent = patch.model_fields_set
    manner = {name: value(patch) for name, value in MANNER.items() if name in sent}
    if "format" in manner:
        manner["wants_text"] = manner.pop("format")
    zone = manner.get("zone", subscriber.zone)
    return on_behalf.Changes(
        topics=_topics(subscriber, patch.topics),
        manner=manner,
        pauses="paused_until" in sent,
        paused_until=_until(patch.paused_until, zone),
    )


def not_on_it(slug: str) -> problems.Problem:
    return problems.mistake(
        f"body/topics/{slug}",
        "This reader is on no such newsletter. A sign-up that they confirm changes that.",
    )


def _zone(patch: PreferencesPatch) -> str:
    if not patch.zone:
        return ""
    name = zones.canonical(patch.zone)
    if name is None:
        raise problems.mistake(
            "body/zone", "This time zone is not in our list. Send a name such as Asia/Tokyo."
        )
    return name


MANNER: dict[str, Callable[[PreferencesPatch], Any]] = {
    "zone": _zone,
    "hour": lambda patch: patch.hour,
    "format": lambda patch: patch.format == "text",
    "wants_catch_up": lambda patch: patch.wants_catch_up,
    "refuses_tracking": lambda patch: patch.refuses_tracking,
}


def _topics(subscriber: Subscriber, wanted: dict[str, list[str]]) -> dict[Newsletter, list[Topic]]:
    if not wanted:
        return {}
    confirmed = [place.newsletter for place in places(subscriber) if place.confirmed_at]
    theirs = {newsletter.slug: newsletter for newsletter in confirmed}
    chosen = {}
    for slug, topics in wanted.items():
        if slug not in theirs:
            raise not_on_it(slug)
        chosen[theirs[slug]] = _carried(theirs[slug], topics)
    return chosen


def _carried(newsletter: Newsletter, slugs: list[str]) -> list[Topic]:
    every = list(newsletter.topics.all()) or list(Topic.objects.all())
    by_slug = {topic.slug: topic for topic in every}
    for place, slug in enumerate(slugs):
        if slug not in by_slug:
            raise problems.mistake(
                f"body/topics/{newsletter.slug}/{place}",
                f"{newsletter} carries no topic “{slug}”. See GET /api/v1/newsletters.",
            )
    return [by_slug[slug] for slug in dict.fromkeys(slugs)]


def _until(day: date | None, zone: str) -> Any:
    """The first instant of that day on the reader's clock."""
    if day is None:
        return None
    today = timezone.now().astimezone(ZoneInfo(zone or zones.UTC)).date()
    if not today < day <= today + LONGEST_PAUSE:
        raise problems.mistake(
            "body/paused_until",
            "The day to start again is past or more than a year away. "
            "Send a day from tomorrow on, or null to end a pause.",
        )
    return zones.midnight(day, zone or zones.UTC)


def _day_of_return(subscriber: Subscriber) -> date | None:
    if not pausing.is_paused(subscriber) or subscriber.paused_until is None:
        return None
    return subscriber.paused_until.astimezone(ZoneInfo(subscriber.zone or zones.UTC)).date()
