"""W11: what HTML from outside becomes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iria_news.articles import reading, sanitising

HOSTILE = {
    "a script": "<script>alert(1)</script>",
    "a script in a script": "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "an event attribute": '<p onclick="alert(1)">x</p>',
    "a picture with an event": '<img src="https://a.example/x.png" onerror="alert(1)">',
    "a script address": '<a href="javascript:alert(1)">x</a>',
    "a script address with a tab": '<a href="java\tscript:alert(1)">x</a>',
    "a script address in entities": '<a href="&#106;avascript:alert(1)">x</a>',
    "a data address": '<a href="data:text/html,<script>alert(1)</script>">x</a>',
    "a data picture": '<img src="data:image/svg+xml,<svg onload=alert(1)>">',
    "a picture without a scheme": '<img src="//evil.example/x.png">',
    "a link without a scheme": '<a href="//evil.example">x</a>',
    "a link with back slashes": '<a href="/\\evil.example">x</a>',
    "a drawing": "<svg><script>alert(1)</script></svg>",
    "mathematics with markup": "<math><mtext><style><img src=x onerror=alert(1)></style>",
    "a frame": '<iframe src="https://evil.example"></iframe>',
    "a frame with a document": '<iframe srcdoc="<script>alert(1)</script>"></iframe>',
    "an object": '<object data="https://evil.example"></object><embed src="https://evil.example">',
    "a form": '<form action="https://evil.example"><input name="password"><button>x</button>',
    "a style": '<p style="position:fixed">x</p><style>p { color: red }</style>',
    "a style sheet": '<link rel="stylesheet" href="https://evil.example/x.css">',
    "a base": '<base href="https://evil.example/">',
    "a refresh": '<meta http-equiv="refresh" content="0;url=https://evil.example">',
    "a comment": "<!--[if IE]><script>alert(1)</script><![endif]-->",
    "a heading in a description": '<img src="https://a.example/x" alt="<h2>x</h2><script>y">',
    "a template": "<template><script>alert(1)</script></template>",
    "an unclosed attribute": '<p title="<script>alert(1)</script>',
    "an id and a class": '<p id="main" class="top">x</p>',
}
FORBIDDEN = (
    *(
        "<script",
        "javascript:",
        "data:",
        "<style",
        "style=",
        "<iframe",
        "<object",
        "<embed",
        "<svg",
    ),
    *("<form", "<input", "<link", "<base", "<meta", "<!--", "evil.example", "<math", "<template"),
    *("onclick=", "onerror=", 'id="main"', "class="),
)


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("clean", [sanitising.clean_body, lambda body: reading.prepare(body).body])
def test_nothing_hostile_passes_on_the_way_in_or_out(clean, body, settings):
    settings.IMAGE_HOSTS = ["a.example"]

    cleaned = clean(f"<p>before</p>{body}").lower()

    assert "before" in cleaned
    assert not [word for word in FORBIDDEN if word in cleaned]


@pytest.mark.parametrize(
    "body", [*HOSTILE.values(), "<h1>A<h5>b</h5>", "<p>5 < 6 &amp; 7", "plain"]
)
def test_cleaning_twice_changes_nothing_more(body):
    once = sanitising.clean_body(body)

    assert sanitising.clean_body(once) == once


@given(st.text(alphabet="<>/=\"'& ahimgscrptoneb:1", max_size=60))
def test_whatever_is_typed_cleaning_it_twice_changes_nothing_more(body):
    once = sanitising.clean_body(body)

    assert sanitising.clean_body(once) == once


def test_what_an_article_needs_stays():
    body = (
        "<h2>Who pays</h2>\n<p>A <em>fine</em> <strong>point</strong>, "
        '<bdi lang="ar" dir="rtl">سفن</bdi>.</p>\n'
        '<figure><img src="https://a.example/x.png" alt="Chart" width="880" height="495">'
        "<figcaption>A chart.</figcaption></figure>\n<blockquote><p>Words</p></blockquote>\n"
        '<table><thead><tr><th scope="col">Year</th></tr></thead>'
        "<tbody><tr><td>1884</td></tr></tbody></table>"
    )

    assert sanitising.clean_body(body) == body


def test_older_tags_become_those_we_use():
    assert sanitising.clean_body("<h1>A</h1><h6>B</h6><p><b>c</b> <i>d</i></p>") == (
        "<h2>A</h2><h4>B</h4><p><strong>c</strong> <em>d</em></p>"
    )


def test_links_say_nothing_about_where_the_reader_comes_from():
    assert sanitising.clean_body('<a href="https://a.example/" target="_blank">x</a>') == (
        '<a href="https://a.example/" rel="noopener noreferrer">x</a>'
    )


def test_our_own_pictures_may_be_named_without_our_address(settings):
    settings.SITE_URL = "http://localhost:8000"

    cleaned = sanitising.clean_body('<img src="/media/articles/x.png" alt="Chart">')

    assert cleaned == '<img src="http://localhost:8000/media/articles/x.png" alt="Chart">'


def test_pictures_of_others_come_by_https():
    cleaned = sanitising.clean_body('<img src="http://a.example/x.png" alt="">')

    assert cleaned == '<img src="https://a.example/x.png" alt="">'


def test_addresses_of_an_imported_text_belong_to_where_it_came_from():
    body = '<a href="/karte">Karte</a>'

    assert 'href="https://blatt.example/karte"' in sanitising.clean_body(
        body, base="https://blatt.example/17"
    )
    assert "href" not in sanitising.clean_body(body, base="javascript:alert(1)//")


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("Fish &amp; chips", "Fish & chips"),
        ("Fish &#038; chips", "Fish & chips"),
        ("<p>One.</p><p>Two.</p>", "One. Two."),
        ("5 < 6", "5 < 6"),
        ("&lt;b&gt;", "<b>"),
        ("a<script>b</script>c", "ac"),
        ("one\r\ntwo\u2028three\x00\u202e", "one two three"),
    ],
)
def test_text_is_one_line_without_markup(markup, text):
    assert sanitising.plain_text(markup) == text
