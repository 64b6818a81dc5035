import logging

import pytest

from iria_news.frame.log_privacy import MaskTokens


@pytest.mark.parametrize(
    ("path", "logged"),
    [
        ("/u/aaaaaaddkmusofonj5tklmq22q//", "/u/(token)//"),
        ("/preferences/abc234/x", "/preferences/(token)/x"),
        ("/confirm/abc234/>", "/confirm/(token)/>"),
        ("/articles/u/", "/articles/u/"),
    ],
)
def test_the_token_of_a_link_never_reaches_a_log(path, logged):
    record = logging.LogRecord("django.request", 30, "", 0, "Not Found: %s", (path,), None)

    MaskTokens().filter(record)

    assert record.getMessage() == f"Not Found: {logged}"


def test_a_path_within_the_words_is_masked_too():
    record = logging.LogRecord("x", 30, "", 0, "asked for /undo/abc234/ in vain", (), None)

    MaskTokens().filter(record)

    assert record.getMessage() == "asked for /undo/(token)/ in vain"
