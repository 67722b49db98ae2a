"""The menus of `explore.ipynb`: a run, one of its test images or a photo of one's own, and the network's answer."""

from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from html import escape

import ipywidgets as widgets
import numpy as np

from soft_attention.errors import StudyError
from soft_attention.run import exploring
from soft_attention.run.exploring import Look, Opened

Draw = Callable[[Look, Sequence[str], np.ndarray | None, str], bytes]

ALL = ""  # the value of the menu of classes that leaves none out
WIDE = {"width": "44rem", "max_width": "100%"}
NARROW = {"width": "3rem"}
UPLOAD = {"width": "12rem"}


class Explorer:
    """Menus that follow the chosen run. An answer is a text with its picture, so neither outlives the other.

    Attributes:
        images: the widget with the run, its classes and its test images.
        photo: the widget with the same run and an upload.
    """

    def __init__(self, run: str, draw: Draw):
        """Open `run`, as `STUDY/RUN`; of a run that cannot be opened the answer says why.

        Args:
            run: the run to begin with.
            draw: a look, the classes, a lesion mask or None, and a title -> the content of a PNG file.
        """
        runs = exploring.explorable()
        self._draw = draw
        self._opened: Opened | None = None
        self._rows = np.arange(0)  # of the test images of the chosen class
        self._setting = False  # whether menus are being set by us, and not by a person
        self.run = widgets.Dropdown(
            options=runs, value=run if run in runs else None, description="run", layout=dict(WIDE)
        )
        self.label = widgets.Dropdown(options=[("all", ALL)], description="class")
        self.number = widgets.BoundedIntText(min=1, max=1, description="image", layout={"width": "11rem"})
        self.previous = widgets.Button(icon="arrow-left", tooltip="previous image", layout=dict(NARROW))
        self.next = widgets.Button(icon="arrow-right", tooltip="next image", layout=dict(NARROW))
        self.upload = widgets.FileUpload(accept="image/*", description="choose a photo", layout=dict(UPLOAD))
        self.image_answer = widgets.HTML(layout={"min_height": "18rem"})
        self.photo_answer = widgets.HTML()
        choice = widgets.HBox([self.label, self.number, self.previous, self.next], layout={"flex_flow": "row wrap"})
        absent = widgets.HTML(_text(exploring.not_explorable()))
        self.images = widgets.VBox([self.run, absent, choice, self.image_answer])
        self.photo = widgets.VBox([self.run, self.upload, self.photo_answer])
        self._open(run)
        self._listen()

    @property
    def about(self) -> str:
        """How much the chosen run offers."""
        if (opened := self._opened) is None:
            return "no run is open: choose one from the menu"
        return f"{len(opened.table):,} test images, classes {', '.join(opened.classes)}"

    def _listen(self) -> None:
        self.run.observe(lambda change: self._open(change["new"]), "value")
        self.label.observe(lambda _: self._choose_class(), "value")
        self.number.observe(lambda _: self._show_image(), "value")
        self.previous.on_click(lambda _: self._step(-1))
        self.next.on_click(lambda _: self._step(1))
        self.upload.observe(lambda _: self._show_photo(), "value")

    def _open(self, name: str) -> None:
        self._opened = None
        places = [self.image_answer, self.photo_answer] if self.upload.value else [self.image_answer]
        with _answering(f"opening {name}", *places):
            opened = exploring.open_run(name)
            self._offer_images(opened)
            self._opened = opened
        self._show_image()
        self._show_photo()

    def _offer_images(self, opened: Opened) -> None:
        """Set the menus to the classes and images of a run; a class that it has too stays chosen."""
        counts = opened.table["label"].value_counts()
        offered = [label for label in opened.classes if label in counts]
        kept = self.label.value if self.label.value in offered else ALL
        with self._by_us():
            self.label.options = [
                (f"all ({len(opened.table):,})", ALL),
                *((f"{label} ({counts[label]:,})", label) for label in offered),
            ]
            self.label.value = kept
            self._offer_rows(opened)

    def _offer_rows(self, opened: Opened) -> None:
        labels = opened.table["label"]
        self._rows = np.flatnonzero(labels == self.label.value) if self.label.value else np.arange(len(labels))
        self.number.max = len(self._rows)  # and a higher number becomes this one

    def _choose_class(self) -> None:
        if self._setting or self._opened is None:
            return
        with self._by_us():
            self._offer_rows(self._opened)
            self.number.value = 1
        self._show_image()

    def _step(self, by: int) -> None:
        """To another image of the class; after the last comes the first."""
        self.number.value = (self.number.value - 1 + by) % self.number.max + 1

    def _show_image(self) -> None:
        opened = self._opened
        if self._setting or opened is None:
            return
        place = self.number.value
        row = self._rows[place - 1]
        image = opened.table.loc[row, "image_id"]
        with _answering(f"predicting {image}", self.image_answer):
            seen = exploring.look(opened.network, opened.images[row])
            predicted, sentence = _prediction(opened, seen, image)
            label = opened.table.loc[row, "label"]
            verdict = "This is its label." if predicted == label else f"Its label is {label}."
            facts = f"Image {place:,} of {len(self._rows):,}; source: {opened.source}; {opened.run.scale}."
            title = f"{image}: labelled {label}, predicted {predicted}"
            picture = self._draw(seen, opened.classes, opened.masks.get(row), title)
            self.image_answer.value = _answer(f"{sentence} {verdict}", facts, picture)

    def _show_photo(self) -> None:
        opened = self._opened
        if opened is None or not self.upload.value:
            return
        file = self.upload.value[-1]
        with _answering(f"predicting {file['name']}", self.photo_answer):
            photo = exploring.own_photo(file["name"], bytes(file["content"]), opened.run.size)
            seen = exploring.look(opened.network, photo.pixels)
            predicted, sentence = _prediction(opened, seen, file["name"])
            picture = self._draw(seen, opened.classes, None, f"your photo: predicted {predicted}")
            self.photo_answer.value = _answer(sentence, photo.made, picture)

    @contextmanager
    def _by_us(self) -> Iterator[None]:
        """Set several menus, and answer once."""
        self._setting = True
        try:
            yield
        finally:
            self._setting = False


@contextmanager
def _answering(doing: str, *places: widgets.HTML) -> Iterator[None]:
    """Show at once what is being done, in the place of the old answers, and what goes wrong."""

    def say(words: str) -> None:
        for place in places:
            place.value = words

    say(f'<p role="status"><i class="fa fa-spinner fa-spin"></i> {escape(doing)} ...</p>')
    try:
        yield
    except (StudyError, OSError, ValueError) as error:  # what a person can mend
        say(_problem(str(error)))
    except Exception as error:
        say(_problem(f"{type(error).__name__}: {error}"))
        raise


def _prediction(opened: Opened, seen: Look, image: str) -> tuple[str, str]:
    """The predicted class, and a sentence that names the run, the class and the image."""
    best = int(seen.probabilities.argmax())
    predicted = opened.classes[best]
    return predicted, f"{opened.name} predicts {predicted} (probability {seen.probabilities[best]:.2f}) for {image}."


def _answer(sentence: str, facts: str, picture: bytes) -> str:
    source = f"data:image/png;base64,{b64encode(picture).decode()}"
    image = f'<img src="{source}" alt="{escape(sentence)}" style="width: 100%; max-width: 62rem">'
    return f"{_text(sentence, bold=True)}{image}{_text(facts)}"


def _text(words: str, bold: bool = False) -> str:
    weight = "bold" if bold else "normal"
    return f'<p style="font-weight: {weight}; line-height: 1.4; margin: 0.3em 0">{escape(words)}</p>' if words else ""


def _problem(words: str) -> str:
    style = "border-left: 4px solid #c8553d; padding-left: 0.6em; line-height: 1.4"
    return f'<p role="alert" style="{style}">{escape(words)}</p>'
