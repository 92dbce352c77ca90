"""`miras serve` and `miras batch` as they are typed."""

import signal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from miras.cli import app
from miras.errors import ConfigError
from miras.serve.http.command import checked_names, heeding_interrupts, read_token


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_this_machine_s_own_addresses_need_no_token(host: str) -> None:
    names = checked_names(host, None)
    assert {"localhost", "127.0.0.1", "[::1]", f"[{host}]" if ":" in host else host} == set(names)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "my-host", ""])
def test_others_do(host: str) -> None:
    with pytest.raises(ConfigError, match="--token-file"):
        checked_names(host, None)
    assert checked_names(host, "t" * 16) == ()


def test_a_token_comes_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MIRAS_TOKEN", raising=False)
    assert read_token(None) is None
    monkeypatch.setenv("MIRAS_TOKEN", "from-the-environment")
    assert read_token(None) == "from-the-environment"
    file = tmp_path / "token.txt"
    file.write_text("0123456789abcdef\n", encoding="utf-8")
    assert read_token(file) == "0123456789abcdef"


@pytest.mark.parametrize(
    "content", [b"", b"short", b"two words of a token", "0123456789abcdefü".encode(), b"\xff" * 20]
)
def test_a_weak_token_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "token.txt"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"token\.txt"):
        read_token(file)
    with pytest.raises(ConfigError, match="no token"):
        read_token(tmp_path / "missing.txt")


def test_an_open_server_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MIRAS_TOKEN", raising=False)
    result = CliRunner().invoke(app, ["serve", "--host", "0.0.0.0", "--folder", str(tmp_path / "kept")])
    assert (result.exit_code, "--token-file" in result.output) == (2, True)
    assert not (tmp_path / "kept").exists()


def test_a_batch_needs_its_file(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["batch", str(tmp_path / "none.jsonl"), str(tmp_path / "out.jsonl")])
    assert (result.exit_code, "none.jsonl" in result.output) == (2, True)


class _Told:
    """Something at whose end Ctrl-C is pressed."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_is_heeded_while_a_model_is_read() -> None:
    before, reached = signal.getsignal(signal.SIGINT), []
    with pytest.raises(KeyboardInterrupt), heeding_interrupts():
        _Told()
        reached.append("Python dropped it")
    assert reached
    with pytest.raises(KeyboardInterrupt), heeding_interrupts():
        signal.raise_signal(signal.SIGINT)
        reached.append("no")
    assert reached == ["Python dropped it"] and signal.getsignal(signal.SIGINT) is before
    with heeding_interrupts():
        reached.append("nothing happens")
