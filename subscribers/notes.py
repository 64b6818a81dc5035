"""What staff write down about a reader, for staff only. No mail ever carries it."""

from django.contrib.auth.models import User

from subscribers.models import Subscriber, SubscriberNote

LONGEST = 1000  # characters


def write(subscriber: Subscriber, text: str, *, by: User) -> SubscriberNote:
    """Keep a note. Line breaks of every system become plain ones."""
    text = "\n".join(text.splitlines())
    return SubscriberNote.objects.create(subscriber=subscriber, text=text, author=by)


def take_back(note_id: int, *, on: Subscriber, by: User) -> bool:
    """Delete a note of one's own; False if it is not there, or somebody else's."""
    deleted, _ = SubscriberNote.objects.filter(pk=note_id, subscriber=on, author=by).delete()
    return deleted > 0
