"""Who may let an edition go, as people are named to their colleagues."""

from django.contrib.auth.models import User

PERMISSION = "mailer.approve_edition"
BACKEND = "django.contrib.auth.backends.ModelBackend"
NAMED = 3  # more names help nobody


def people(*, without: int | None = None) -> list[User]:
    """Staff with the right to approve, but for the one of this number, in the order of names."""
    found = User.objects.with_perm(PERMISSION, backend=BACKEND).filter(is_staff=True)
    others = found if without is None else found.exclude(pk=without)
    return list(others.order_by("last_name", "first_name", "username"))


def name(person: User) -> str:
    return person.get_full_name() or person.get_username()


def who_can(*, without: int | None = None) -> str:
    """The sentence that names those who can approve it, or says that nobody can."""
    names = [name(person) for person in people(without=without)]
    if not names:
        return "Nobody else has the right to approve; it can be given on the page of a user."
    more = ["another colleague with the right"] if len(names) > NAMED else []
    shown = [*names[:NAMED], *more]
    listed = " or ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))
    return f"{listed} can approve it."
