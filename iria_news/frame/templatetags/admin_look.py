"""What our own parts of the admin's templates need."""

from django import template
from django.utils.safestring import SafeString

from iria_news.frame import badges

register = template.Library()


@register.filter
def badge(state: str) -> SafeString:
    return badges.badge(state)


@register.filter
def thousands(number: int) -> str:
    return f"{number:,}"
