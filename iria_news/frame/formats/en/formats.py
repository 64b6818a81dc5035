"""Dates of the admin: day before month, 24 hours. Pages and mails name their formats themselves."""

DATE_FORMAT = "j M Y"
DATETIME_FORMAT = "j M Y, H:i"
TIME_FORMAT = "H:i"
