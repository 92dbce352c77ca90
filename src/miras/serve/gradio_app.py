"""A small Gradio app: a photo, a chat about it, and the photo with what is meant.

Its two named endpoints, `/open` and `/ask`, keep one conversation for each client, as they do for each browser tab.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from miras.data.images import load_image
from miras.engine.engine import Engine, View
from miras.errors import ConfigError, EmptyQuestion, MirasError
from miras.model.replies import Reply

if TYPE_CHECKING:
    import gradio as gr

__all__ = ["gradio_app", "serve_gradio"]

_LARGEST = "20mb"
_IDLE = 3600.0
_STRENGTH = 0.5  # Gradio paints masks of ones so that nothing of the photo is seen below them

_Shown = tuple[list[dict[str, str]], Any, Any]


def gradio_app(engine: Engine) -> "gr.Blocks":
    """The app over an engine; `launch` it, or mount it in another server.

    A conversation is closed when its tab or client goes, or after an hour. Raises ConfigError where Gradio is missing.
    """
    gradio = _gradio()
    talk = _Talk(engine, gradio)
    with gradio.Blocks(title="MIRAS", analytics_enabled=False, delete_cache=(3600, 3600)) as app:
        name = gradio.State("", time_to_live=_IDLE, delete_callback=talk.close)
        gradio.Markdown("# MIRAS\nDrop a photo, ask about it, and say what to mark.")
        with gradio.Row():
            with gradio.Column():
                photo = gradio.Image(label="Photo", type="filepath", image_mode=None, sources=["upload", "clipboard"])
                marked = gradio.AnnotatedImage(label="What is meant")
            with gradio.Column():
                chat = gradio.Chatbot(label="Conversation", render_markdown=False, sanitize_html=True)
                question = gradio.Textbox(
                    label="Question", placeholder="Which of these could keep the rain off? Mark it."
                )
                with gradio.Row():
                    send, stop, undo = (gradio.Button(word) for word in ("Send", "Stop", "Undo"))
                turn = gradio.JSON(label="Answer", visible=False)
        shown = [chat, marked, turn]
        photo.input(talk.open, [photo, name], [name, *shown], api_name="open")
        asked = gradio.on(
            [question.submit, send.click], talk.ask, [question, name], shown,
            api_name="ask", concurrency_limit=engine.settings.batch, concurrency_id="ask",
        )  # fmt: skip
        asked.success(lambda: "", None, question, api_visibility="private", queue=False)
        stop.click(None, None, None, cancels=[asked], api_visibility="private")
        undo.click(talk.undo, name, shown, api_name="undo")
    app.queue(max_size=engine.settings.waiting)
    return app


def serve_gradio(
    model: str = "nano", *, host: str | None = None, port: int | None = None, folder: Path | None = None
) -> None:
    """Load a model and serve the app until Ctrl-C; what was said is kept in `folder` where one is given.

    Host and port are Gradio's own where they are left out: its variables GRADIO_SERVER_NAME and GRADIO_SERVER_PORT,
    127.0.0.1 and 7860. Raises ConfigError where Gradio is missing.
    """
    _gradio()
    from miras import Miras  # takes seconds, a missing package should not wait for it

    with contextlib.ExitStack() as stack:
        place = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="miras-")))
        engine = Engine(Miras.from_pretrained(model, merge_lora=True), place)
        stack.callback(engine.stop)
        gradio_app(engine).launch(server_name=host, server_port=port, max_file_size=_LARGEST, ssr_mode=False)


def _gradio() -> Any:
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read while it is imported
    try:
        import gradio
    except ImportError as error:
        raise ConfigError(f"the Gradio app needs gradio ({error}); pip install 'miras[gradio]'") from error
    return gradio


class _Talk:
    """What the app does, in Gradio's terms: errors as its own, a generator where words come one by one."""

    def __init__(self, engine: Engine, gradio: Any) -> None:
        self.engine, self.gradio = engine, gradio

    def open(self, photo: str | None, name: str) -> tuple[Any, ...]:
        """Begin a conversation about a photo; the one before it is closed."""
        with self._said():
            if photo is None:
                fresh = ""
            else:
                fresh = self.engine.open(load_image(photo))
        self.close(name)
        return (fresh, *(self._shown(fresh) if fresh else ([], None, None)))

    def ask(self, question: str, name: str) -> Iterator[_Shown]:
        """Ask about the photo: the words as they come, at last the masks."""
        skip = self.gradio.skip()
        with self._said():
            self._begun(name)
            if not question.strip():
                raise EmptyQuestion(
                    "a question needs words, got an empty one; type what you want to know or see marked"
                )
            told = [*_messages(self.engine.view(name)), _message("user", question.strip())]
            answer = ""
            for piece in self.engine.ask(name, question):
                if isinstance(piece, Reply):
                    yield self._shown(name)
                else:
                    answer += piece
                    yield [*told, _message("assistant", answer)], skip, skip

    def undo(self, name: str) -> _Shown:
        """Take back the last question and its answer."""
        with self._said():
            self._begun(name)
            self.engine.undo(name)
            return self._shown(name)

    def close(self, name: str) -> None:
        """Forget a conversation, if there is one."""
        with contextlib.suppress(MirasError):
            if name:
                self.engine.close(name)

    def _shown(self, name: str) -> _Shown:
        """All that was said, the photo with the masks of the last answer, and that answer as JSON."""
        view = self.engine.view(name)
        last = view.replies[-1] if view.replies else Reply("")
        masks = [
            (segment.mask * _STRENGTH, f"{segment.phrase or 'unnamed'} {segment.score:.2f}") for segment in last.targets
        ]
        turn = {"plain": last.plain, **last.to_json()} if view.replies else None
        return _messages(view), (self.engine.image(name), masks), turn

    @contextlib.contextmanager
    def _said(self) -> Iterator[None]:
        """What MIRAS refuses is shown to the person, or raised where the client is a program."""
        try:
            yield
        except MirasError as error:
            raise self.gradio.Error(str(error), print_exception=False) from error

    def _begun(self, name: str) -> None:
        if not name:
            raise ConfigError("a question needs a photo, none was given; drop one first, or call /open")


def _message(role: str, text: str) -> dict[str, str]:
    return {"role": role, "content": text}


def _messages(view: View) -> list[dict[str, str]]:
    said = []
    for asked, reply in zip(view.turns[::2], view.replies, strict=True):
        said += [_message("user", asked.text), _message("assistant", reply.plain)]
    return said
