"""Pictures on their way in: checked by content, encoded anew, so that no file stays as it came."""

import io
from pathlib import PurePath

from django.core.files.base import ContentFile
from django.utils.text import slugify
from PIL import Image, ImageOps, UnidentifiedImageError

LIMIT_BYTES = 10_000_000
LIMIT_PIXELS = 40_000_000  # unpacked 160 MB; every camera of the newsroom stays below
MAX_WIDTH = 1200  # twice the column of a mail
FORMATS = ("JPEG", "PNG", "WEBP", "GIF")


class BadPicture(Exception):
    """The file cannot be used. The message is a sentence for the editor."""


def checked(content: bytes, name: str) -> "ContentFile[bytes]":
    """Return the picture encoded anew, at most 1200 pixels wide, as JPEG or PNG.

    Place and camera (EXIF) are gone, the turning it asked for is done. Raises BadPicture.
    """
    if len(content) > LIMIT_BYTES:
        raise BadPicture(
            f"The picture has {len(content) / 1_000_000:.0f} MB, but at most "
            f"{LIMIT_BYTES // 1_000_000} MB fit. Save it smaller."
        )
    image, kind = _opened(content)
    transparent = image.has_transparency_data
    # Photographs become JPEG; a drawing would get blurred edges from it.
    suffix = "png" if transparent or kind in {"PNG", "GIF"} else "jpg"
    image = _narrowed(image.convert("RGBA" if transparent else "RGB"))
    return ContentFile(
        _encoded(image, suffix), f"{slugify(PurePath(name).stem)[:80] or 'picture'}.{suffix}"
    )


def _opened(content: bytes) -> tuple[Image.Image, str]:
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > LIMIT_PIXELS:
                raise _too_many_pixels()
            return ImageOps.exif_transpose(image), image.format or ""
    except UnidentifiedImageError as error:
        raise BadPicture(_unknown(content)) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels() from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:  # what Pillow's readers raise
        raise BadPicture(
            "The picture is damaged. Open it in an editor and save it anew."
        ) from error


def _too_many_pixels() -> BadPicture:
    return BadPicture(
        f"The picture has more than {LIMIT_PIXELS // 1_000_000} million pixels. Save it smaller."
    )


def _unknown(content: bytes) -> str:
    if b"<svg" in content[:1000].lower():
        return "SVG drawings can carry programs and are not taken. Save it as PNG."
    return "This is not a JPEG, PNG, WebP or GIF picture."


def _narrowed(image: Image.Image) -> Image.Image:
    if image.width <= MAX_WIDTH:
        return image
    height = max(1, round(image.height * MAX_WIDTH / image.width))
    return image.resize((MAX_WIDTH, height), Image.Resampling.LANCZOS)


def _encoded(image: Image.Image, suffix: str) -> bytes:
    image.info.clear()  # comments, profiles, whatever else came along
    output = io.BytesIO()
    if suffix == "png":
        image.save(output, "PNG", optimize=True)
    else:
        image.save(output, "JPEG", quality=82, optimize=True, progressive=True)
    return output.getvalue()
