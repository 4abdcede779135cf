"""The page of a study: served by Gradio on this machine, one HTML part whose script asks three functions of
:class:`saddlepoint.human.session.Session`.

Pictures travel inside the answers of those functions, so that no file of the study folder is ever served. Gradio comes with
``pip install 'saddlepoint[human]'`` and is imported here alone.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from saddlepoint.errors import SaddlepointError, UsageError
from saddlepoint.human.answers import AnswerStore
from saddlepoint.human.session import Session
from saddlepoint.human.study import open_study

if TYPE_CHECKING:
    import gradio

HOST, PORT = "127.0.0.1", 7860
SHELL = '<div class="study"><p class="notice">One moment…</p></div>'


def serve(folder: Path, *, host: str = HOST, port: int = PORT, say: Callable[[str], None] | None = None) -> None:
    """Serve a study until SIGINT or SIGTERM.

    Args:
        folder: of the study.
        host: address to listen at; the default is reached from this machine alone.
        port: to listen at.
        say: called with the page's address once it can be opened.
    Raises:
        UsageError: if Gradio is missing, the folder is no study, or the port is in use.
    """
    study = open_study(folder)
    check_port(host, port)
    store = AnswerStore(folder)
    page = make_page(Session(study, store))
    stopped = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        page.launch(
            server_name=host,
            server_port=port,
            prevent_thread_lock=True,
            quiet=True,
            share=False,
            ssr_mode=False,
            footer_links=[],
            css=(resources.files("saddlepoint.human") / "page.css").read_text(),
            theme=_theme(),
        )
        if say is not None:
            say(f"http://{host}:{port}/")
        stopped.wait()
    except OSError as error:
        raise UsageError(f"The page cannot be served at {host}:{port}: {error}. Choose another --port.") from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        page.close(verbose=False)
        store.close()


def make_page(session: Session) -> gradio.Blocks:
    """The page as Gradio blocks, not yet served.

    Raises:
        UsageError: if Gradio is missing.
    """
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    try:
        import gradio
    except ImportError as error:
        raise UsageError(f"A study's page needs Gradio, which cannot be imported ({error}). Install it: pip install 'saddlepoint[human]'.") from error

    def view(data: dict[str, Any]) -> dict[str, Any]:
        return _answered(lambda: session.view(data["rater"]))

    def consent(data: dict[str, Any]) -> dict[str, Any]:
        return _answered(lambda: session.consent(data["rater"]))

    def answer(data: dict[str, Any]) -> dict[str, Any]:
        times = {name: data.get(name) for name in ("response_ms", "shown_ms")}
        return _answered(lambda: session.answer(data["rater"], data["trial"], data["choice"], **times))

    script = (resources.files("saddlepoint.human") / "page.js").read_text(encoding="utf-8")
    with gradio.Blocks(title=session.study.settings.title, analytics_enabled=False) as page:
        gradio.HTML(html_template=SHELL, js_on_load=script, apply_default_css=False, server_functions=[view, consent, answer])
    return page  # type: ignore[no-any-return]


def check_port(host: str, port: int) -> None:
    """Refuse a port that cannot be listened at.

    Raises:
        UsageError: in one line.
    """
    if not 1 <= port <= 65535:
        raise UsageError(f"A port lies between 1 and 65535; {port} came.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise UsageError(f"Port {port} of {host} cannot be used: {error.strerror}. Choose another with --port.") from error


def _answered(call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A view, or the one line that says why there is none."""
    try:
        return call()
    except SaddlepointError as error:
        return {"error": str(error)}
    except KeyError as error:
        return {"error": f"The page sent no {error}. Load it again."}


def _theme() -> Any:
    """Gradio's plain theme with the reader's own fonts: nothing is loaded from elsewhere."""
    import gradio

    return gradio.themes.Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
