"""How a message that nobody vouches for is shown inside a page of ours, so that nothing runs."""

import re

from django.conf import settings

OUR_IMAGES = [settings.SITE_URL, *(f"https://{host}" for host in settings.IMAGE_HOSTS), "data:"]
# The page hands its own policy down to the message in its frame (srcdoc inherits), and mails carry
# inline styles. SITE_URL stands beside 'self' because the page may be read at 127.0.0.1.
PAGE_POLICY = {
    "style-src": ["'unsafe-inline'"],
    "img-src": OUR_IMAGES,
    "form-action": [settings.SITE_URL],
}
# Stands in the message itself too, where it also holds should the page's policy be changed.
IN_MESSAGE = (
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
    f"style-src 'unsafe-inline'; img-src {' '.join(OUR_IMAGES)}\">"
    '<base target="_blank">'
)


def framed(html: str) -> str:
    """The message for the frame: with its policy, and links that open in a tab of their own.

    What is added goes behind <head>, so that the doctype stays first and quirks mode off.
    """
    if not html:
        return ""
    head = re.search(r"<head(?:\s[^>]*)?>", html, re.IGNORECASE)
    if head is None:
        return f"<!DOCTYPE html>{IN_MESSAGE}{html}"
    return html[: head.end()] + IN_MESSAGE + html[head.end() :]
