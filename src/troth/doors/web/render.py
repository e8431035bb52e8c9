"""From a view model to a page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from troth.doors.web import assets, words
from troth.doors.web.frame import Frame

FOLDER = Path(__file__).parent


def environment() -> Environment:
    """The templates of this door: escaped by default, and a name that is missing is an error."""
    made = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=200,
    )
    made.filters |= {
        "day": words.day,
        "moment": words.moment,
        "clock_time": words.clock_time,
        "iso": words.iso,
        "number": words.number,
        "entry": words.entry_number,
        "counted": words.counted,
        "size": words.length,
        "fingerprint": words.fingerprint,
        "role": words.role,
        "purpose": words.purpose,
    }
    made.globals["asset"] = assets.address
    return made


@dataclass(frozen=True, slots=True)
class Page:
    """A template with what it shows.

    Attributes:
        template: Path below this door, such as `patient/home.html`.
        view: The view model, named `page` in the template.
    """

    template: str
    view: Any


class Renderer:
    """Renders pages with one environment, parsed once."""

    def __init__(self) -> None:
        self._environment = environment()

    def html(self, page: Page, frame: Frame) -> str:
        """The page as text."""
        return self._environment.get_template(page.template).render(page=page.view, frame=frame)

    def answer(self, page: Page, frame: Frame, status: int = 200) -> HTMLResponse:
        """The page as an answer."""
        return HTMLResponse(self.html(page, frame), status)
