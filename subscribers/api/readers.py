"""One reader: found by address, read and changed by an opaque id."""

from typing import Literal

from django.http import HttpRequest
from ninja import Router, Schema

from iria_news import keys
from iria_news.api import problems
from iria_news.api.parsing import Strict
from subscribers import addresses, on_behalf, preferences, suppression
from subscribers.api import changing, fields
from subscribers.api.authentication import Key, caller
from subscribers.api_keys import Scope
from subscribers.models import Newsletter, Subscriber, SubscriberQuerySet, SubscriberState

router = Router(tags=["Readers"], auth=Key(Scope.MANAGE))
PURPOSE = "api-subscriber"
State = Literal["pending", "active", "left", "suppressed"]
MAY_CONFLICT = {"x-problems": [409]}
MAY_FIND_NOBODY = {"x-problems": [404]}


class Lookup(Strict):
    email: fields.Email


class Place(Schema):
    newsletter: str
    state: Literal["asked", "active"]
    topics: list[str]


class Reader(Schema):
    id: str
    state: State
    subscriptions: list[Place]


class Leave(Strict):
    newsletters: fields.Slugs | None = None  # None: everything, private newsletters too


@router.post(
    "/subscribers/lookup",
    response=Reader,
    operation_id="lookUpReader",
    openapi_extra=MAY_FIND_NOBODY,
)
def look_up(request: HttpRequest, body: Lookup) -> Reader:
    """Find a reader by address, and say whether they confirmed. By POST: no address in any URL."""
    try:
        address = addresses.parse(body.email)
    except addresses.BadAddress as error:
        raise problems.mistake("body/email", str(error)) from error
    subscriber = _there().filter(address_key=address.key).first()
    if subscriber is None:
        raise problems.Problem(404, "Nobody with this address is with us, or waits to be.")
    return _reader(subscriber)


@router.get("/subscribers/{reader_id}", response=Reader, operation_id="getReader")
def reader(request: HttpRequest, reader_id: str) -> Reader:
    """State of one reader: pending until the mailed button is pressed, then active."""
    return _reader(_subscriber(reader_id))


@router.get(
    "/subscribers/{reader_id}/preferences",
    response=changing.Preferences,
    operation_id="getPreferences",
)
def read_preferences(request: HttpRequest, reader_id: str) -> changing.Preferences:
    """How and about what a reader is written to."""
    return changing.preferences_of(_subscriber(reader_id))


@router.patch(
    "/subscribers/{reader_id}/preferences",
    response=changing.Preferences,
    operation_id="changePreferences",
    openapi_extra=MAY_CONFLICT,
)
def change_preferences(
    request: HttpRequest, reader_id: str, body: changing.PreferencesPatch
) -> changing.Preferences:
    """Change what is named and leave the rest. Nothing here joins a newsletter."""
    subscriber = _subscriber(reader_id)
    changes = changing.changes(subscriber, body)
    try:
        on_behalf.change(subscriber, changes, source=f"api:{caller(request).name}")
    except on_behalf.NotConfirmed as error:
        raise problems.Problem(
            409,
            "This reader has not confirmed yet. Wait for their press in our mail.",
        ) from error
    except preferences.Suppressed as error:
        raise problems.Problem(
            409,
            "We stopped writing to this address. Only its reader can end that, by a new sign-up "
            "that they confirm.",
        ) from error
    except on_behalf.NotOnIt as error:  # left between the two looks at it
        raise changing.not_on_it(next(iter(body.topics))) from error
    subscriber.refresh_from_db()
    return changing.preferences_of(subscriber)


@router.post("/subscribers/{reader_id}/unsubscribe", response=Reader, operation_id="unsubscribe")
def unsubscribe(request: HttpRequest, reader_id: str, body: Leave) -> Reader:
    """End places on newsletters, confirmed or asked for. Again, it changes nothing."""
    subscriber = _subscriber(reader_id)
    on_behalf.end(subscriber, _newsletters(body), by=f"api:{caller(request).prefix}")
    return _reader(subscriber)


def _newsletters(body: Leave) -> list[Newsletter] | None:
    if body.newsletters is None:
        return None
    # Also those that nobody can join any more: their readers may leave.
    known = {each.slug: each for each in Newsletter.objects.filter(is_private=False)}
    for place, slug in enumerate(body.newsletters):
        if slug not in known:
            raise problems.mistake(
                f"body/newsletters/{place}",
                f"No newsletter is called “{slug}”. See GET /api/v1/newsletters.",
            )
    return [known[slug] for slug in body.newsletters]


def _there() -> SubscriberQuerySet:
    return Subscriber.objects.exclude(state=SubscriberState.ERASED)


def _subscriber(reader_id: str) -> Subscriber:
    """Raises Problem where the id is not ours, made for something else, or its reader is gone."""
    try:
        number = keys.read_short_token(PURPOSE, reader_id)
    except keys.BadKey:
        number = 0
    subscriber = _there().filter(pk=number).first()
    if subscriber is None:
        raise problems.Problem(
            404, "No reader has this id. POST /api/v1/subscribers/lookup finds one by address."
        )
    return subscriber


def _reader(subscriber: Subscriber) -> Reader:
    places = changing.places(subscriber)
    return Reader(
        id=keys.short_token(PURPOSE, subscriber.pk),
        state=_state(subscriber),
        subscriptions=[
            Place(
                newsletter=place.newsletter.slug,
                state="active" if place.confirmed_at else "asked",
                topics=[topic.slug for topic in place.topics.all()],
            )
            for place in places
        ],
    )


def _state(subscriber: Subscriber) -> State:
    if suppression.is_suppressed(subscriber.address_hash):
        return "suppressed"
    if subscriber.state == SubscriberState.PENDING:
        return "pending"
    # Of private newsletters, too: whoever reads one has not left us.
    return "active" if subscriber.subscriptions.active().exists() else "left"
