"""What readers sent, read strictly and kept as typed, so that a page with a mistake loses nothing.

No Django forms: a tick box here is a newsletter with a rate, a sentence and topics of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from django.http import QueryDict
from django.utils.translation import gettext, gettext_noop

from iria_news.articles.models import Topic
from iria_news.frame import form_age
from subscribers import addresses, offers
from subscribers.addresses import Address
from subscribers.models import Newsletter
from subscribers.offers import Offer

YOUNGEST = timedelta(seconds=2)  # nobody reads and types faster
OLDEST = timedelta(hours=24)
HONEYPOT = "website"  # out of sight; only programs fill it in

PRESS_AGAIN = gettext_noop(
    "This page was open for too long or too short a time to be sure that a person sent it. "
    "Everything you entered is still here: please press the button again."
)
NOTHING_OFFERED = gettext_noop("There is no newsletter to join at present. Please come back later.")
NO_NEWSLETTER = gettext_noop("Tick at least one newsletter, or there is nothing to subscribe to.")
NO_TOPIC = gettext_noop("Tick at least one topic, or we would have nothing to send you.")


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
    is_band: bool = False  # a small form, which has no tick boxes
    is_of_good_age: bool = True
    age: str = ""  # for the hidden field of the next page, when nothing else is to be put right

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
    form = EmailForm()
    _read_address(form, post)
    if not is_of_good_age(post.get("form_age", "")):
        form.problems.append(Problem("send", gettext(PRESS_AGAIN)))
    return form


def _read_address(form: EmailForm, post: QueryDict) -> None:
    form.typed = post.get("email", "")
    try:
        form.address = addresses.parse(form.typed)
    except addresses.BadAddress as error:
        form.problems.append(Problem("email", str(error)))


def blank_sign_up(offered: list[Offer]) -> SignUpForm:
    """As the page first shows it: the usual newsletter, and every topic."""
    return SignUpForm(
        offers=offered,
        newsletters={offer.newsletter.slug for offer in offers.usual(offered)},
        topics={topic.slug for offer in offered for topic in offer.topics},
    )


def read_sign_up(post: QueryDict, offered: list[Offer]) -> SignUpForm:
    """What was typed and ticked, with its problems; what a form does not ask is the usual choice.

    The small forms ask for the address alone. A form on another site has no age: that is no
    problem to put right, but needs one more press, on a page of ours.
    """
    form = blank_sign_up(offered)
    _read_address(form, post)
    form.is_band = not any(name in post for name in ("choices", "newsletter", "topic"))
    if "choices" in post or "newsletter" in post:
        form.newsletters = set(post.getlist("newsletter"))
    if "choices" in post or "topic" in post:
        form.topics = set(post.getlist("topic"))
    form.problems += _problems_of_choice(form)
    age = post.get("form_age", "")
    form.is_of_good_age = is_of_good_age(age)
    form.age = age if _is_ours_and_young(age) else form_age.issue()
    return form


def _problems_of_choice(form: SignUpForm) -> list[Problem]:
    if not form.offers:
        return [Problem("newsletters", gettext(NOTHING_OFFERED))]
    problems = []
    if not form.chosen_newsletters:
        problems.append(Problem("newsletters", gettext(NO_NEWSLETTER)))
    if not form.chosen_topics:
        return [*problems, Problem("topics", gettext(NO_TOPIC))]
    for newsletter in form.chosen_newsletters:
        if not offers.carried(newsletter, form.chosen_topics):
            names = ", ".join(topic.name for topic in newsletter.topics.all())
            sentence = gettext(
                "{newsletter} carries none of the topics you ticked. It has: {names}."
            ).format(newsletter=newsletter, names=names)
            problems.append(Problem("topics", sentence))
    return problems


def is_of_good_age(value: str) -> bool:
    """Whether the signed age says that a person could have filled in the form."""
    try:
        return YOUNGEST <= form_age.read(value) <= OLDEST
    except form_age.BadFormAge:
        return False


def _is_ours_and_young(value: str) -> bool:
    """Whether a page may carry the age on: pressed too soon, it is good the second time."""
    try:
        return form_age.read(value) <= OLDEST
    except form_age.BadFormAge:
        return False
