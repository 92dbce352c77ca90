"""Answers in 8 bits: the kernels against the same arithmetic in torch, rows in company, and what is refused."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from miras import Miras
from miras.errors import ConfigError
from miras.model.generation import Decoding, Row, generate
from miras.model.language import Language
from miras.model.quick import Quick, refusal
from miras.model.slots import Slots

pytest.importorskip("numba")

LENGTHS = (5, 131, 1, 64, 257)
"""Tokens that the slots hold: within a block of attention, at its edge and in several."""


@pytest.fixture(scope="module")
def quick(fresh_model: Callable[..., Miras]) -> Miras:
    """A tiny model that writes in 8 bits."""
    model = fresh_model()
    model.language.merge_lora()
    model.language.quicken()
    return model


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def filled(lengths: tuple[int, ...], room: int = 300) -> Slots:
    """Slots with random keys and values of so many tokens."""
    slots, draw = Slots(), torch.Generator().manual_seed(1)
    slots.reserve(len(lengths), room)
    for place, length in enumerate(lengths):
        slots.put(place, [(_random(draw, 1, 2, length, 16), _random(draw, 1, 2, length, 16)) for _ in range(2)])
    return slots


def _random(draw: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=draw)


def rounded(weight: Tensor, x: Tensor) -> Tensor:
    """x (B, K) times a matrix (N, K) of 8 bits, row by row, x in whole numbers whose sums of products fit int32."""
    scale = weight.abs().amax(1) / 127
    codes = torch.round(weight / scale[:, None]).double()
    most = min(32767, (2**31 - 1) // (127 * x.shape[1])) - 1
    unit = x.abs().amax(1, keepdim=True) / most
    return ((torch.round(x / unit).double() @ codes.T).float() * (unit * scale)).float()


@torch.no_grad()
def reference(language: Language, embeddings: Tensor, past: list[tuple[Tensor, Tensor]], position: int) -> Tensor:
    """The last hidden state (1, D) of one more token, each matrix product `rounded`."""
    decoder: Any = language.lm.get_decoder()
    cosine, sine = decoder.rotary_emb(embeddings, torch.tensor([[position]]))
    hidden = embeddings
    for layer, (keys, values) in zip(decoder.layers, past, strict=True):
        x = layer.input_layernorm(hidden)
        weight = torch.cat([getattr(layer.self_attn, f"{name}_proj").weight for name in "qkv"])
        q, k, v = rounded(weight, x).view(1, 8, 1, 16).split((4, 2, 2), 1)
        q, k = apply_rotary_pos_emb(q, k, cosine, sine)
        seen = torch.cat([keys, k], 2), torch.cat([values, v], 2)
        attended = F.scaled_dot_product_attention(q, *seen, enable_gqa=True).reshape(1, -1)
        hidden = hidden + rounded(layer.self_attn.o_proj.weight, attended)
        x = layer.post_attention_layernorm(hidden)
        between = F.silu(rounded(layer.mlp.gate_proj.weight, x)) * rounded(layer.mlp.up_proj.weight, x)
        hidden = hidden + rounded(layer.mlp.down_proj.weight, between)
    return decoder.norm(hidden)


@pytest.mark.parametrize("count", [1, 2])
def test_a_pass_is_the_rounded_arithmetic_of_torch(quick: Miras, count: int, threads: Callable[[int], None]) -> None:
    threads(count)
    slots, fed = filled(LENGTHS), _random(torch.Generator().manual_seed(2), len(LENGTHS), 1, 64)
    before = [slots.take(place, length) for place, length in enumerate(LENGTHS)]
    states = quick.language.step(fed, slots, LENGTHS)
    assert states.shape == (5, 1, 64)
    for place, length in enumerate(LENGTHS):
        expected = reference(quick.language, fed[place], before[place], length)
        # a number near the middle of two whole ones may go either way
        assert torch.allclose(states[place], expected, atol=3e-3), (length, (states[place] - expected).abs().max())
        for (keys, values), (old_keys, old_values) in zip(slots.take(place, length + 1), before[place], strict=True):
            assert torch.equal(keys[:, :, :length], old_keys) and torch.equal(values[:, :, :length], old_values)
            assert keys[:, :, length].abs().sum() > 0 and values[:, :, length].abs().sum() > 0


def test_a_pass_is_near_the_float_one(quick: Miras) -> None:
    language, fed = quick.language, _random(torch.Generator().manual_seed(2), len(LENGTHS), 1, 64)
    ours, theirs = filled(LENGTHS), filled(LENGTHS)
    states = language.step(fed, ours, LENGTHS)
    with torch.no_grad():
        mask, positions = theirs.behind(0, LENGTHS, fed)
        floats = language.states(fed, mask, positions, theirs)
    assert 0.999 < float(F.cosine_similarity(states, floats, dim=-1).min()) < 0.9999999
    for place, length in enumerate(LENGTHS):
        for new, old in zip(ours.take(place, length + 1), theirs.take(place, length + 1), strict=True):
            for buffer, other in zip(new, old, strict=True):
                assert torch.allclose(buffer, other, atol=0.1)


def test_logits_are_rounded_but_for_the_largest(quick: Miras) -> None:
    language, states = quick.language, _random(torch.Generator().manual_seed(3), 3, 2, 64)
    whole = language.logits(states)  # with gradients, as in training: never in 8 bits
    with torch.inference_mode():
        logits = language.logits(states)
    assert logits.shape == whole.shape == (3, 2, 323)
    weight = torch.cat([language.lm.get_output_embeddings().weight, language.rows])
    near = rounded(weight, states.view(6, -1)).view(3, 2, -1)
    likely = torch.zeros(3, 2, 323, dtype=torch.bool).scatter(2, near.topk(32).indices, True)
    assert torch.allclose(logits[likely], whole[likely], atol=1e-5)
    assert torch.allclose(logits[~likely], near[~likely], atol=1e-4)
    assert whole.requires_grad and not torch.allclose(near[likely], whole[likely], atol=1e-5)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_company_and_threads_change_no_bit(quick: Miras, count: int, threads: Callable[[int], None]) -> None:
    threads(1)
    fed = _random(torch.Generator().manual_seed(2), len(LENGTHS), 1, 64)
    alone = []
    for place, length in enumerate(LENGTHS):
        slots = Slots()
        slots.reserve(1, 300)
        slots.put(0, filled(LENGTHS).take(place, length))
        alone.append((quick.language.step(fed[place : place + 1], slots, [length])[0], slots.take(0, length + 1)))
    threads(count)
    together = filled(LENGTHS)
    states = quick.language.step(fed, together, LENGTHS)
    for place, (state, kept) in enumerate(alone):
        assert torch.equal(states[place], state)
        assert all(
            torch.equal(a, b)
            for one, other in zip(kept, together.take(place, LENGTHS[place] + 1), strict=True)
            for a, b in zip(one, other, strict=True)
        )


def test_rows_that_come_and_go_are_as_when_alone(quick: Miras) -> None:
    def prompt(seed: int) -> Tensor:  # of one length, so that torch reads each as it would alone
        return _random(torch.Generator().manual_seed(seed), 4, 64)

    alone = {}
    for seed in range(5):
        alone[seed] = Row(prompt(seed), limit=4 + 2 * seed)
        list(generate(Decoding(quick.language, stop_id=-1), [alone[seed]]))
    decoding, rows = Decoding(quick.language, stop_id=-1), {}
    for step in range(30):
        if step < 5:
            rows[step] = Row(prompt(step), limit=4 + 2 * step)
            decoding.join(rows[step])
        if step == 5:
            decoding.leave(rows[3])
        decoding.read()
        decoding.step()
    for seed, row in rows.items():
        assert row.ids == alone[seed].ids[: len(row.ids)] and (row.ended or seed == 3)


def test_two_threads_may_ask_at_once(quick: Miras) -> None:
    prompts = [_random(torch.Generator().manual_seed(seed), 4, 64) for seed in range(4)]

    def write(seed: int, found: dict[int, list[int]]) -> None:
        row = Row(prompts[seed], limit=20)
        list(generate(Decoding(quick.language, stop_id=-1), [row]))
        found[seed] = row.ids

    expected, found = dict[int, list[int]](), dict[int, list[int]]()
    for seed in range(4):
        write(seed, expected)
    people = [threading.Thread(target=write, args=(seed, found)) for seed in range(4)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert found == expected


def test_a_session_streams_what_it_says(quick: Miras, picture: Callable[..., np.ndarray]) -> None:
    asked, streamed = (quick.session(picture(60, 80)) for _ in range(2))
    reply = asked.ask("what is there?", limit=12)
    pieces: list[Any] = list(streamed.stream("what is there?", limit=12))
    last = pieces.pop()
    assert last.text == reply.text and "".join(map(str, pieces)) == reply.plain


def test_the_state_dict_is_as_it_was(quick: Miras, fresh_model: Callable[..., Miras], tmp_path: Path) -> None:
    plain = fresh_model()
    plain.language.merge_lora()
    assert plain.state_dict().keys() == quick.state_dict().keys()
    plain.config.lora = {}
    plain.save_pretrained(tmp_path)
    loaded = {way: Miras.from_pretrained(tmp_path, decode=way) for way in ("int8", "auto", "float", None)}
    assert [model.language.decode for model in loaded.values()] == ["int8", "int8", "float", "float"]
    with pytest.raises(ConfigError, match="decode is one of"):
        Miras.from_pretrained(tmp_path, decode="int4")


def test_lora_is_folded_in(tmp_path: Path, tiny: Miras) -> None:
    tiny.save_pretrained(tmp_path)
    loaded = Miras.from_pretrained(tmp_path, decode="int8")
    assert loaded.language.decode == "int8" and not [name for name in loaded.state_dict() if "lora" in name]
    assert Miras.from_pretrained(tmp_path, decode="auto").language.decode == "float"  # it may be trained on


def test_other_models_are_refused(fresh_model: Callable[..., Miras]) -> None:
    language = fresh_model().language
    with pytest.raises(ConfigError, match="merge_lora=True"):
        language.quicken()
    language.merge_lora()
    assert refusal(language.lm) is None
    lm: Any = language.lm
    assert "got ['torch.bfloat16 on cpu']" in str(refusal(lm.to(torch.bfloat16)))
    lm.float()
    lm.config.hidden_act = "gelu"
    assert "takes silu" in str(refusal(lm))
    lm.config.hidden_act = "silu"
    lm.model.layers[0].mlp.up_proj.bias = torch.nn.Parameter(torch.zeros(128))
    assert "mlp.up_proj.bias" in str(refusal(lm))


def test_only_float32_within_its_positions_is_taken(quick: Miras) -> None:
    decoder = quick.language.quick
    assert isinstance(decoder, Quick)
    with pytest.raises(ConfigError, match="takes float32 on a processor"):
        decoder.logits(torch.zeros(1, 64, dtype=torch.bfloat16))
    with pytest.raises(ConfigError, match="knows 2048 positions"):
        decoder.states(torch.zeros(1, 1, 64), Slots(), [2048])


def test_without_numba_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch, fresh_model: Callable[..., Miras]) -> None:
    language = fresh_model().language
    language.merge_lora()
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(ConfigError, match=r"pip install 'miras\[quick\]'"):
        language.quicken()
    assert language.decode == "float"


@pytest.mark.slow
def test_nano_says_and_marks_nearly_the_same() -> None:
    named = {"astronaut": ("person", "flag"), "cat": ("cat", "eye"), "coffee": ("cup", "spoon")}
    photos = files("miras.serve") / "photos"
    replies: dict[str, list[Any]] = {}
    for way in ("float", "int8"):
        model = Miras.from_pretrained("nano", merge_lora=True, decode=way)
        replies[way] = [
            session.ask(f"What is {phrase} in this image? Please output segmentation mask.")
            for photo, phrases in named.items()
            for session in [model.session((photos / f"{photo}.jpg").read_bytes())]
            for phrase in phrases
        ]
    pairs = list(zip(*replies.values(), strict=True))
    same = [pair for pair in pairs if pair[0].text == pair[1].text]
    assert len(same) >= len(pairs) - 2
    for one, other in same:
        for target, ours in zip(one.targets, other.targets, strict=True):
            sure = target.score > 0.5  # what it is not sure of is a guess either way
            assert not sure or (target.mask & ours.mask).sum() > 0.97 * (target.mask | ours.mask).sum()
    assert sum(target.score > 0.5 for one, _ in same for target in one.targets) >= 2


@pytest.mark.slow
def test_a_processor_without_these_instructions_gives_the_same(tmp_path: Path) -> None:
    test = f"{Path(__file__).as_posix()}::test_a_pass_is_the_rounded_arithmetic_of_torch"
    plain = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test]
    done = subprocess.run(command, env=os.environ | plain, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert list(tmp_path.rglob("*.nbi"))
