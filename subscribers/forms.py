"""What readers sent, read strictly and kept as typed, so that a page with a mistake loses nothing.

No Django forms: a tick box here is a newsletter with a rate, a sentence and topics of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from django.http import QueryDict

from iria_news.articles.models import Topic
from iria_news.frame import form_age
from subscribers import addresses, offers
from subscribers.addresses import Address
from subscribers.models import Newsletter, Subscriber
from subscribers.offers import Offer

YOUNGEST = timedelta(seconds=2)  # nobody reads and types faster
OLDEST = timedelta(hours=24)
HONEYPOT = "website"  # out of sight; only programs fill it in

PRESS_AGAIN = (
    "This page was open for too long or too short a time to be sure that a person sent it. "
    "Everything you entered is still here: please press the button again."
)
NOTHING_OFFERED = "There is no newsletter to join at present. Please come back later."
NO_NEWSLETTER = "Tick at least one newsletter, or there is nothing to subscribe to."
NO_TOPIC = "Tick at least one topic, or we would have nothing to send you."


@dataclass(frozen=True)
class Problem:
    """One thing to put right: the id of its field, and a sentence that says how."""

    field: str
    sentence: str


@dataclass
class EmailForm:
    """One address."""

    typed: str = ""
    address: Address | None = None
    problems: list[Problem] = field(default_factory=list)

    def sentence_for(self, field: str) -> str:
        return next((each.sentence for each in self.problems if each.field == field), "")

    @property
    def email_error(self) -> str:
        return self.sentence_for("email")


@dataclass
class SignUpForm(EmailForm):
    """An address and what is asked for."""

    offers: list[Offer] = field(default_factory=list)
    newsletters: set[str] = field(default_factory=set)  # slugs, as ticked
    topics: set[str] = field(default_factory=set)
    is_band: bool = False  # the small form below an article, which has no tick boxes

    @property
    def all_topics(self) -> list[Topic]:
        """Everything that one of the newsletters carries, each once and in their order."""
        return sorted(
            {topic for offer in self.offers for topic in offer.topics},
            key=lambda topic: (topic.position, topic.name),
        )

    @property
    def chosen_newsletters(self) -> list[Newsletter]:
        """Only what is offered: the slug of a private newsletter opens nothing."""
        return [
            offer.newsletter for offer in self.offers if offer.newsletter.slug in self.newsletters
        ]

    @property
    def chosen_topics(self) -> list[Topic]:
        return [topic for topic in self.all_topics if topic.slug in self.topics]

    @property
    def newsletters_error(self) -> str:
        return self.sentence_for("newsletters")

    @property
    def topics_error(self) -> str:
        return self.sentence_for("topics")


def read_email(post: QueryDict) -> EmailForm:
    typed = post.get("email", "")
    form = EmailForm(typed)
    try:
        form.address = addresses.parse(typed)
    except addresses.BadAddress as error:
        form.problems.append(Problem("email", str(error)))
    if not is_of_good_age(post.get("form_age", "")):
        form.problems.append(Problem("send", PRESS_AGAIN))
    return form


def blank_sign_up(offered: list[Offer]) -> SignUpForm:
    """As the page first shows it: the usual newsletter, and every topic."""
    return SignUpForm(
        offers=offered,
        newsletters={offer.newsletter.slug for offer in offers.usual(offered)},
        topics={topic.slug for offer in offered for topic in offer.topics},
    )


def read_sign_up(post: QueryDict, offered: list[Offer]) -> SignUpForm:
    """What was typed and ticked, with its problems; from the small form, the usual choice."""
    form = blank_sign_up(offered)
    email = read_email(post)
    form.typed, form.address, form.problems = email.typed, email.address, email.problems
    form.is_band = not any(name in post for name in ("choices", "newsletter", "topic"))
    if not form.is_band:
        form.newsletters = set(post.getlist("newsletter"))
        form.topics = set(post.getlist("topic"))
    form.problems += _problems_of_choice(form)
    return form


def _problems_of_choice(form: SignUpForm) -> list[Problem]:
    if not form.offers:
        return [Problem("newsletters", NOTHING_OFFERED)]
    problems = []
    if not form.chosen_newsletters:
        problems.append(Problem("newsletters", NO_NEWSLETTER))
    if not form.chosen_topics:
        return [*problems, Problem("topics", NO_TOPIC)]
    for newsletter in form.chosen_newsletters:
        if not offers.carried(newsletter, form.chosen_topics):
            names = ", ".join(topic.name for topic in newsletter.topics.all())
            sentence = f"{newsletter} carries none of the topics you ticked. It has: {names}."
            problems.append(Problem("topics", sentence))
    return problems


@dataclass
class Section:
    """One newsletter on the preferences page, and what is ticked there."""

    offer: Offer
    is_ticked: bool
    ticked: Collection[str]  # slugs of topics
    error: str = ""

    @property
    def name(self) -> str:
        return f"topic-{self.offer.newsletter.slug}"

    @property
    def topics(self) -> list[Topic]:
        return [topic for topic in self.offer.topics if topic.slug in self.ticked]

    @property
    def count(self) -> str:
        """ "4 of 8" or "all 8"."""
        number, of = len(self.topics), len(self.offer.topics)
        return f"all {of}" if number == of else f"{number} of {of}"


def preferences_as_they_are(subscriber: Subscriber) -> list[Section]:
    """Newsletters that are not followed show all their topics ticked: one tick then joins them."""
    places = subscriber.subscriptions.active().prefetch_related("topics")
    followed = {
        place.newsletter_id: {topic.slug for topic in place.topics.all()} for place in places
    }
    return [
        Section(
            offer,
            is_ticked=offer.newsletter.pk in followed,
            ticked=followed.get(offer.newsletter.pk, {topic.slug for topic in offer.topics}),
        )
        for offer in offers.to_subscriber(subscriber.pk)
    ]


def preferences_as_sent(subscriber: Subscriber, post: QueryDict) -> list[Section]:
    """What was ticked, with an error where a newsletter is left without a topic."""
    newsletters = set(post.getlist("newsletter"))
    sections = []
    for offer in offers.to_subscriber(subscriber.pk):
        section = Section(offer, offer.newsletter.slug in newsletters, ())
        section.ticked = set(post.getlist(section.name))
        if section.is_ticked and not section.topics:
            name = offer.newsletter.name
            section.error = f"Tick at least one topic of {name}, or untick {name} itself."
        sections.append(section)
    return sections


def problems(sections: Iterable[Section]) -> list[Problem]:
    return [Problem(section.name, section.error) for section in sections if section.error]


def is_of_good_age(value: str) -> bool:
    """Whether the signed age says that a person could have filled in the form."""
    try:
        return YOUNGEST <= form_age.read(value) <= OLDEST
    except form_age.BadFormAge:
        return False
