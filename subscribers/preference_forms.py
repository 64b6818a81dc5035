"""The preferences page as it was sent: kept as typed, with a sentence for each mistake."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from django.conf import settings
from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext

from iria_news import dates
from iria_news.articles.models import Language, Topic
from subscribers import addresses, estimates, pausing, preference_sections, zones
from subscribers.addresses import Address
from subscribers.forms import Problem
from subscribers.models import Newsletter, Subscriber
from subscribers.preference_sections import Section
from subscribers.preferences import Manner, manner_of

NO_PAUSE, TWO_WEEKS, UNTIL = "none", "2w", "until"
FORTNIGHT = timedelta(days=14)
LONGEST_PAUSE = timedelta(days=366)


@dataclass
class PreferencesForm:
    """Everything that is saved by one press."""

    subscriber: Subscriber
    sections: list[Section]
    hour: str  # "" is: when each newsletter leaves
    zone: str  # as typed; see `manner` for its present name
    wants_text: bool
    pause: str
    until: str  # a date as typed, or as a browser writes it
    wants_catch_up: bool
    refuses_tracking: bool
    language: str
    problems: list[Problem] = field(default_factory=list)

    @property
    def choices(self) -> dict[Newsletter, list[Topic]]:
        return {each.offer.newsletter: each.topics for each in self.sections if each.is_ticked}

    @property
    def manner(self) -> Manner:
        """For a form without problems."""
        return Manner(
            zone=zones.canonical(self.zone) or "" if self.zone else "",
            hour=int(self.hour) if self.hour else None,
            wants_text=self.wants_text,
            wants_catch_up=self.wants_catch_up,
            refuses_tracking=self.refuses_tracking,
            language=self.language,
        )

    @property
    def pause_until(self) -> datetime | None:
        """When the pause ends; None for no pause. For a form without problems."""
        if self.pause == NO_PAUSE:
            return None
        day = self.fortnight if self.pause == TWO_WEEKS else date.fromisoformat(self.until)
        return zones.midnight(day, self.clock)

    @property
    def clock(self) -> str:
        """The zone whose midnights count."""
        return (zones.canonical(self.zone) if self.zone else None) or zones.UTC

    @property
    def resumes_on(self) -> date | None:
        """When the pause that is under way ends, by the reader's clock; whatever was sent."""
        until = self.subscriber.paused_until
        return until and pausing.day_of(self.subscriber, until)

    @property
    def today(self) -> date:
        return timezone.localdate(timezone=zones.of(self.clock))

    @property
    def tomorrow(self) -> date:
        return self.today + timedelta(days=1)

    @property
    def fortnight(self) -> date:
        return self.today + FORTNIGHT

    @property
    def time_there(self) -> str:
        """ "18:42 in Tokyo", or in UTC where no zone is chosen."""
        there = timezone.localtime(timezone=zones.of(self.clock))
        if self.clock == zones.UTC:
            return f"{there:%H:%M} UTC"
        return gettext("{time} in {place}").format(
            time=f"{there:%H:%M}", place=zones.place(self.clock)
        )

    @property
    def hours(self) -> list[tuple[str, str]]:
        return [(str(hour), f"{hour:02}:00") for hour in range(24)]

    @property
    def zones(self) -> list[str]:
        """The list to choose from; with what was typed, should it not be in there."""
        known = zones.choices()
        return [*known] if not self.zone or self.zone in known else [self.zone, *known]

    @property
    def languages(self) -> list[tuple[str, str]]:
        """What we have, and what the reader has chosen elsewhere; each by its own name."""
        ours = dict(settings.LANGUAGES)
        theirs = self.subscriber.language
        return list((ours | {theirs: ours.get(theirs, Language(theirs).label)}).items())

    @property
    def follow_the_hour(self) -> list[Newsletter]:
        return [each.offer.newsletter for each in self.sections if not each.is_at_once]

    @property
    def leave_at_once(self) -> list[Newsletter]:
        return [each.offer.newsletter for each in self.sections if each.is_at_once]

    @property
    def total(self) -> str:
        """What all that is ticked brings together: "about 6 mails a week"; "" if nobody can say."""
        each = [s.offer.per_week_for(s.topics) for s in self.sections if s.is_ticked]
        known = [number for number in each if number is not None]
        return estimates.words(sum(known)) if known and len(known) == len(each) else ""

    @property
    def hour_error(self) -> str:
        return self._sentence("hour")

    @property
    def zone_error(self) -> str:
        return self._sentence("zone")

    @property
    def until_error(self) -> str:
        return self._sentence("until")

    @property
    def language_error(self) -> str:
        return self._sentence("language")

    def _sentence(self, name: str) -> str:
        return next((each.sentence for each in self.problems if each.field == name), "")


@dataclass
class MoveForm:
    """The new address, on the same page."""

    typed: str = ""
    address: Address | None = None
    error: str = ""

    @property
    def problems(self) -> list[Problem]:
        return [Problem("new", self.error)] if self.error else []


def as_they_are(subscriber: Subscriber, sections: list[Section] | None = None) -> PreferencesForm:
    manner = manner_of(subscriber)
    paused = subscriber.paused_until if pausing.is_paused(subscriber) else None
    return PreferencesForm(
        subscriber,
        preference_sections.as_they_are(subscriber) if sections is None else sections,
        hour="" if manner.hour is None else str(manner.hour),
        zone=manner.zone,
        wants_text=manner.wants_text,
        pause=UNTIL if paused else NO_PAUSE,
        until=pausing.day_of(subscriber, paused).isoformat() if paused else "",
        wants_catch_up=manner.wants_catch_up,
        refuses_tracking=manner.refuses_tracking,
        language=manner.language,
    )


def as_sent(subscriber: Subscriber, post: QueryDict) -> PreferencesForm:
    """What was ticked, chosen and typed, with its problems.

    Without the hidden field that comes with hour, format and pause, these stay as they are.
    """
    sections = preference_sections.as_sent(subscriber, post)
    if "manner" not in post:
        return replace(
            as_they_are(subscriber, sections), problems=preference_sections.problems(sections)
        )
    pause = post.get("pause", "")
    form = PreferencesForm(
        subscriber,
        sections,
        hour=post.get("hour", "").strip(),
        zone=post.get("zone", "").strip(),
        wants_text=post.get("format") == "text",
        pause=pause if pause in (TWO_WEEKS, UNTIL) else NO_PAUSE,
        until=post.get("until", "").strip(),
        wants_catch_up="catch-up" in post,
        refuses_tracking="no-clicks" in post,
        language=post.get("language", subscriber.language).strip(),
    )
    form.problems = [*preference_sections.problems(form.sections), *_problems_of_manner(form)]
    return form


def read_move(post: QueryDict) -> MoveForm:
    form = MoveForm(post.get("email", ""))
    try:
        form.address = addresses.parse(form.typed)
    except addresses.BadAddress as error:
        form.error = str(error)
    return form


def _problems_of_manner(form: PreferencesForm) -> list[Problem]:
    found = []
    if form.hour and form.hour not in dict(form.hours):
        sentence = gettext("The hour “{hour}” is not on our clock. Choose one from 00:00 to 23:00.")
        found.append(Problem("hour", sentence.format(hour=form.hour)))
    if form.zone and zones.canonical(form.zone) is None:
        sentence = gettext(
            "The time zone “{zone}” is not in our list. Choose it from the list, for example "
            "Asia/Tokyo."
        )
        found.append(Problem("zone", sentence.format(zone=form.zone)))
    if form.language not in dict(form.languages):
        sentence = gettext("The language “{language}” is not in our list. Choose it from the list.")
        found.append(Problem("language", sentence.format(language=form.language)))
    if form.pause == UNTIL and (sentence := _problem_of_day(form)):
        found.append(Problem("until", sentence))
    return found


def _problem_of_day(form: PreferencesForm) -> str:
    if not form.until:
        return gettext("Give the day on which mails start again, or choose another pause.")
    try:
        day = date.fromisoformat(form.until)
    except ValueError:
        unread = gettext("“{typed}” is no day that we can read. Write it like {example}.")
        return unread.format(typed=form.until, example=form.fortnight.isoformat())
    if day < form.today:
        sentence = gettext(
            "The day to start again, {day}, is in the past. Choose a day from tomorrow on."
        )
    elif day == form.today:
        sentence = gettext(
            "The day to start again, {day}, is today. Choose a day from tomorrow on."
        )
    elif day > form.today + LONGEST_PAUSE:
        sentence = gettext(
            "The day to start again, {day}, is more than a year ahead. Choose a nearer one."
        )
    else:
        return ""
    return sentence.format(day=dates.said(day, "j F Y"))
