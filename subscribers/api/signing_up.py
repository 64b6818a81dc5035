"""Sign-ups from forms of others. The answer is the same for every address (W5)."""

from typing import Literal

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from ninja import Router, Schema, Status

from iria_news.api import problems
from iria_news.api.parsing import Strict
from iria_news.articles.models import Language, Topic
from subscribers import addresses, consent, limits, offers, showcase, signup
from subscribers.api import fields
from subscribers.api.authentication import Key, caller
from subscribers.api_keys import Scope
from subscribers.models import ApiKey, Newsletter

router = Router(tags=["Sign-up"], auth=Key(Scope.SUBSCRIBE))


class SignUp(Strict):
    email: fields.Email
    newsletters: fields.Slugs | None = None  # None: the usual one
    topics: fields.Slugs | None = None  # None: all that they carry
    language: Language | None = None
    wording: Literal["api-2026-11"]


class Taken(Schema):
    detail: str


TAKEN = Taken(
    detail="Taken. Whoever reads this address gets one mail, and nothing more unless they press "
    "the button in it. An address that is with us already gets its preferences link instead."
)


@router.post("/subscriptions", response={202: Taken}, operation_id="signUp")
def sign_up(request: HttpRequest, body: SignUp) -> Status[Taken]:
    """Ask for newsletters in a reader's name; the reader confirms by mail.

    `wording` is the version of the words that your form showed, from `GET /newsletters`.
    """
    try:
        address = addresses.parse(body.email)
    except addresses.BadAddress as error:
        raise problems.mistake("body/email", str(error)) from error
    chosen = _newsletters(body)
    topics = _topics(body, chosen)
    key = caller(request)
    try:
        limits.count(address, network=_network(request, key))
    except limits.TooMany as error:
        raise _too_many(error) from error
    signup.receive(
        address,
        newsletters=[offer.newsletter for offer in chosen],
        topics=topics,
        source=f"api:{key.name}",
        wording=consent.API,
        language=body.language or "",
    )
    return Status(202, TAKEN)


def _newsletters(body: SignUp) -> list[offers.Offer]:
    """Only what is offered: the slug of a private newsletter is as unknown as any (W7)."""
    public = showcase.offered()
    if body.newsletters is None:
        usual = offers.usual(public)
        if not usual:
            raise problems.mistake("body/newsletters", "There is no newsletter to join at present.")
        return usual
    by_slug = {offer.newsletter.slug: offer for offer in public}
    for place, slug in enumerate(body.newsletters):
        if slug not in by_slug:
            raise problems.mistake(
                f"body/newsletters/{place}",
                f"No newsletter is called “{slug}”. See GET /api/v1/newsletters.",
            )
    return [by_slug[slug] for slug in dict.fromkeys(body.newsletters)]


def _topics(body: SignUp, chosen: list[offers.Offer]) -> list[Topic]:
    carried = {topic.slug: topic for offer in chosen for topic in offer.topics}
    if body.topics is None:
        return list(carried.values())
    for place, slug in enumerate(body.topics):
        if slug not in carried:
            raise problems.mistake(
                f"body/topics/{place}",
                f"None of these newsletters carries “{slug}”. See GET /api/v1/newsletters.",
            )
    wanted = [carried[slug] for slug in dict.fromkeys(body.topics)]
    for offer in chosen:
        _refuse_an_empty_one(offer.newsletter, wanted)
    return wanted


def _refuse_an_empty_one(newsletter: Newsletter, topics: list[Topic]) -> None:
    if not offers.carried(newsletter, topics):
        raise problems.mistake(
            "body/topics",
            f"{newsletter} carries none of these topics. Leave it out, or name one it carries.",
        )


def _network(request: HttpRequest, key: ApiKey) -> str:
    """Whom the limit per network counts: the key, or, from a web page, the reader's network.

    What a server says about its visitor's network is not asked for: it would be an invention
    whenever it mattered.
    """
    if "Origin" not in request.headers:
        return f"API key {key.pk}"
    return limits.network(
        request.META.get("REMOTE_ADDR", ""),
        request.headers.get("X-Forwarded-For", ""),
        proxies=settings.TRUSTED_PROXIES,
    )


def _too_many(error: limits.TooMany) -> problems.Problem:
    wait = max(1, round((error.until - timezone.now()).total_seconds()))
    return problems.Problem(
        429,
        f"{error.sentence}, which is our limit. Try again after {error.until:%H:%M} UTC.",
        headers={"Retry-After": str(wait)},
    )
