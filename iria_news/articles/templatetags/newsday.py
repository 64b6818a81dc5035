"""When something was published, as a newspaper says it."""

from datetime import datetime, timedelta

from django import template
from django.utils import timezone
from django.utils.dateformat import format as formatted
from django.utils.translation import gettext

from iria_news import dates

register = template.Library()


@register.filter
def newsday(moment: datetime) -> str:
    """Return "06:40" for today, then "Yesterday", "Saturday" within a week, and "3 March 2025"."""
    moment = timezone.localtime(moment)
    days = (timezone.localdate() - moment.date()) // timedelta(days=1)
    if days == 0:
        return formatted(moment, "H:i")
    if days == 1:
        return gettext("Yesterday")
    return formatted(moment, "l") if days < 7 else dates.said(moment, "j F Y")
