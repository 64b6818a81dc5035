"""W15: pictures on their way in."""

import io

import pytest
from PIL import Image

from iria_news.articles import pictures


def make_picture(kind="JPEG", size=(60, 40), mode="RGB", **options):
    output = io.BytesIO()
    Image.new(mode, size, "red" if mode == "RGB" else None).save(output, kind, **options)
    return output.getvalue()


def test_a_wide_photograph_is_narrowed():
    file = pictures.checked(make_picture(size=(2400, 1600)), "Tug at Port Aldern.JPEG")

    with Image.open(file) as image:
        assert (image.format, image.size) == ("JPEG", (1200, 800))
    assert file.name == "tug-at-port-aldern.jpg"


def test_place_and_camera_are_taken_out_and_the_turning_is_done():
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    exif[0x010F] = "Camera of somebody"
    content = make_picture(size=(60, 40), exif=exif)

    file = pictures.checked(content, "x.jpg")

    with Image.open(file) as image:
        assert image.size == (40, 60)
        assert not image.getexif()


@pytest.mark.parametrize(
    ("kind", "mode", "name"),
    [("PNG", "RGB", "x.png"), ("PNG", "RGBA", "x.png"), ("WEBP", "RGB", "x.jpg")],
)
def test_drawings_stay_png_and_all_else_becomes_jpeg(kind, mode, name):
    assert pictures.checked(make_picture(kind, mode=mode), "x.whatever").name == name


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"<?xml version='1.0'?><svg onload='alert(1)'/>", "SVG drawings"),
        (b"<html>", "not a JPEG"),
        (b"", "not a JPEG"),
        (make_picture(size=(400, 400), quality=95)[:400], "damaged"),
        (b"x" * (pictures.LIMIT_BYTES + 1), "at most 10 MB"),
        (make_picture("PNG", size=(8000, 5001), mode="1"), "million pixels"),
        (make_picture("PNG", size=(30_000, 30_000), mode="1"), "million pixels"),
        (make_picture("TIFF"), "not a JPEG"),
    ],
    ids=["svg", "html", "nothing", "cut off", "large", "pixels", "bomb", "tiff"],
)
def test_what_is_no_usable_picture_is_refused_in_a_sentence(content, sentence):
    with pytest.raises(pictures.BadPicture, match=sentence):
        pictures.checked(content, "x.jpg")
