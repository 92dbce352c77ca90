"""The Gradio app, asked by Gradio's own client: photo in, words and masks out, one conversation per client."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.documents import blocks
from tests.model.conftest import new_picture

from miras.data.masks import decode
from miras.engine.engine import Engine
from miras.model.miras import Miras
from miras.model.session import Session
from miras.pages.draw import save_png
from miras.serve.gradio_app import gradio_app

DOCS = Path(__file__).resolve().parents[3] / "docs"

pytestmark = [
    pytest.mark.slow,  # Gradio takes seconds to import and to start
    pytest.mark.filterwarnings("ignore"),  # Gradio 6.31 warns of its own ways with pandas, starlette and asyncio
]


@pytest.fixture(scope="module")
def engine(tiny: Miras, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = Engine(tiny, tmp_path_factory.mktemp("talks"))
    yield engine
    engine.stop()


@pytest.fixture(scope="module")
def address(engine: Engine) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    app = gradio_app(engine)

    async def launched() -> str:  # in a loop of ours: outside of one, Gradio 6.31 makes another and never closes it
        _, address, _ = app.launch(server_port=port, prevent_thread_lock=True, quiet=True, ssr_mode=False)
        return str(address)

    yield asyncio.run(launched())
    app.close()


def _client(address: str) -> Any:
    from gradio_client import Client

    return Client(address, verbose=False)


def test_a_client_opens_asks_and_undoes(address: str, tiny: Miras, photo: Path) -> None:
    from gradio_client import handle_file

    client, alone = _client(address), Session(tiny, photo)
    chat, marked, turn = client.predict(handle_file(str(photo)), api_name="/open")
    assert chat == [] and turn is None and marked["annotations"] == []
    assert Image.open(marked["image"]).size == (84, 60)
    for number in (1, 2):
        chat, marked, turn = client.predict("What is it? Mark it.", api_name="/ask")
        expected = alone.ask("What is it? Mark it.")
        assert turn["text"] == expected.text and turn["plain"] == expected.plain
        assert len(chat) == 2 * number and chat[-1]["role"] == "assistant"
        assert [target["phrase"] for target in turn["targets"]] == [target.phrase for target in expected.targets]
        for told, target in zip(turn["targets"], expected.targets, strict=True):
            assert np.array_equal(decode(told["mask"]), target.mask)
        assert len(marked["annotations"]) == len(expected.targets)
    chat, _, _ = client.predict(api_name="/undo")
    assert len(chat) == 2
    client.close()


def test_the_page_s_example(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = (block for block in blocks(DOCS / "gradio.md", "python") if "gradio_client" in block)
    Image.fromarray(new_picture(60, 84)).save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    known: dict[str, Any] = {}
    exec(example.replace("http://127.0.0.1:7860", address), known)
    known["client"].close()
    targets = known["turn"]["targets"]
    told = capsys.readouterr().out.splitlines()[-len(targets) - 1 :]
    assert targets and told[0] == known["turn"]["plain"]
    assert all(line.endswith("[60, 84]") for line in told[1:])


def test_clients_do_not_see_each_other(address: str, tmp_path: Path) -> None:
    from gradio_client import handle_file

    paths = [save_png(tmp_path / f"{width}.png", new_picture(40, width, width)) for width in (50, 70)]
    clients = [_client(address) for _ in paths]
    for client, path in zip(clients, paths, strict=True):
        client.predict(handle_file(str(path)), api_name="/open")
    for width, client in zip((50, 70), clients, strict=True):
        chat, marked, _ = client.predict(f"Is it {width} wide?", api_name="/ask")
        assert chat[0]["content"][0]["text"] == f"Is it {width} wide?" and len(chat) == 2
        assert Image.open(marked["image"]).size == (width, 40)
        client.close()


def test_words_come_one_by_one(address: str, photo: Path) -> None:
    from gradio_client import handle_file

    client = _client(address)
    client.predict(handle_file(str(photo)), api_name="/open")
    job = client.submit("What is it?", api_name="/ask")
    job.result()
    told = [shown[0][-1]["content"][0]["text"] for shown in job.outputs()]
    assert len(told) > 2 and told[-1].startswith(told[0]) and told == sorted(told, key=len)
    client.close()


@pytest.mark.parametrize(("question", "opened", "message"), [("x", False, "photo"), ("  ", True, "empty")])
def test_refusals_say_what_to_do(address: str, photo: Path, question: str, opened: bool, message: str) -> None:
    from gradio_client import handle_file
    from gradio_client.exceptions import AppError

    client = _client(address)
    if opened:
        client.predict(handle_file(str(photo)), api_name="/open")
    with pytest.raises(AppError, match=message):
        client.predict(question, api_name="/ask")
    client.close()
