"""Template tags of every page."""

from django import template

from iria_news.frame import form_age as form_ages

register = template.Library()


@register.simple_tag
def form_age() -> str:
    """The value of the hidden field `form_age` in forms that need no CSRF token."""
    return form_ages.issue()
