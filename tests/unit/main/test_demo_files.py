"""The demo is about pictures: each of its files shows one."""

from __future__ import annotations

import io
from datetime import date

from PIL import Image, ImageStat

from troth.dicom import Picture, frame_table, render, scan, to_json
from troth.main.demo.cast import files


def drawn(content: bytes) -> Image.Image:
    header, bulk = scan(content)

    def read(start: int, stop: int) -> bytes:
        return bulk[start:stop]

    picture = Picture.of(to_json(header.head, header.syntax), header.syntax)
    return Image.open(io.BytesIO(render(frame_table(header, read).read(1, read), picture, media_type="image/png")))


def test_each_file_of_the_demo_shows_a_picture() -> None:
    made = files(date(2026, 11, 30))
    for content in (*made.old, *made.head, *made.other):
        image = drawn(content)
        assert min(image.size) >= 128
        assert ImageStat.Stat(image).stddev[0] > 20, "one grey all over"
