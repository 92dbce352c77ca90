"""Decoding with 8-bit weights on a processor: a plain Llama's next tokens through kernels compiled by numba.

Matrices are rounded row by row to int8, what they multiply to whole numbers of at least 11 bits as it comes. Keys and
values stay float32, where `Slots` holds them. Prompts are read by torch as ever.
"""

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import LlamaForCausalLM

from miras.errors import ConfigError
from miras.model.quantize import is_quantized
from miras.model.slots import Slots

__all__ = ["DECODES", "Decode", "Quick", "refusal"]

Decode = Literal["int8", "float", "auto"]
"""How answers are written: in 8 bits, as the weights are, or in 8 bits where that can be."""
DECODES = get_args(Decode)

_ROPES = ("default", "linear", "llama3")
"""Kinds of rotary positions whose angles depend on nothing but the position."""

_LIKELY = 32
"""Tokens of the largest logits, which are computed again in float32: a near tie is not decided by rounding."""


def refusal(lm: Any) -> str | None:
    """Why a language model cannot be decoded in int8 here, and what to do; None where it can."""
    config, weights = lm.config, dict(lm.named_parameters())
    kinds = sorted({f"{weight.dtype} on {weight.device}" for weight in weights.values()})
    if not isinstance(lm, LlamaForCausalLM) or is_quantized(lm):
        return f"it takes a plain Llama, not in 4 bits, got a {type(lm).__name__}; use decode='float'"
    if any("lora_" in name for name in weights):
        return "it needs LoRA folded into the layers it adapts; load with merge_lora=True"
    if biases := [name for name in weights if name.endswith("bias")]:
        return f"it takes layers without biases, got {biases[0]}; use decode='float'"
    if config.hidden_act != "silu" or config.rope_parameters["rope_type"] not in _ROPES:
        seen = f"{config.hidden_act} and {config.rope_parameters['rope_type']} positions"
        return f"it takes silu and rotary positions of the kinds {_ROPES}, got {seen}; use decode='float'"
    if kinds != ["torch.float32 on cpu"]:
        return f"it takes weights in float32 on a processor, got {kinds}; load without dtype, or use decode='float'"
    if config.head_dim % 4 or os.name != "posix":
        return f"it takes heads of a multiple of 4, got {config.head_dim}, and Linux or macOS; use decode='float'"
    try:
        import numba  # noqa: F401
    except ImportError:
        return "it needs numba; pip install 'miras[quick]', or use decode='float'"
    return None


class Quick:
    """The rounded weights of one language model; they do not follow the model when it changes.

    Its methods may be called from any thread and are done one at a time, in as many threads as torch takes.
    """

    @torch.no_grad()
    def __init__(self, lm: Any, rows: Tensor) -> None:
        """`rows` (n, D) are the output embeddings of tokens that the model lacks. Raises ConfigError; see `refusal`."""
        if (why := refusal(lm)) is not None:
            raise ConfigError(f"decode='int8' is not for this model: {why}")
        from miras.model import quick_kernels, quick_tickets

        self._kernels, self._counters = quick_kernels, quick_tickets.COUNTERS
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._helpers = 0
        config, layers = lm.config, lm.model.layers
        attention, mlp = [layer.self_attn for layer in layers], [layer.mlp for layer in layers]
        self._heads, self._width = config.num_attention_heads, attention[0].head_dim
        norms = [norm.weight for layer in layers for norm in (layer.input_layernorm, layer.post_attention_layernorm)]
        positions = torch.arange(config.max_position_embeddings)[None]
        turns = [each[0, :, : self._width // 2] for each in lm.model.rotary_emb(norms[0], positions)]
        self._weights = quick_kernels.Weights(
            norms=torch.stack([*norms, lm.model.norm.weight]).numpy(),
            qkv=self._matrix(torch.cat([a.q_proj.weight, a.k_proj.weight, a.v_proj.weight]) for a in attention),
            out=self._matrix(each.o_proj.weight for each in attention),
            up=self._matrix(torch.stack([m.gate_proj.weight, m.up_proj.weight], 1).flatten(0, 1) for m in mlp),
            down=self._matrix(each.down_proj.weight for each in mlp),
            turns=torch.stack(turns).numpy(),
            epsilon=np.float32(config.rms_norm_eps),
        )
        self._outputs = lm.get_output_embeddings().weight, rows
        self._vocabulary = self._matrix([torch.cat(self._outputs)])
        self._tokens = lm.config.vocab_size + len(rows)
        self._warm()

    def states(self, embeddings: Tensor, slots: Slots, lengths: Sequence[int]) -> Tensor:
        """Embeddings (B, 1, D) of a token behind each of the first B slots, which hold so many → states (B, 1, D).

        Writes the token's keys and values. Raises ConfigError for other than float32 and for too long a slot.
        """
        self._check(embeddings, max(lengths))
        rows, kernels, weights = len(lengths), self._kernels, self._weights
        hidden = embeddings[:, 0].contiguous().clone()
        layers = slots.layers
        blocks = max(lengths) // kernels.BLOCK + 1
        work = kernels.Work(
            hidden=hidden.numpy(),
            queries=np.empty((rows, self._heads, self._width), np.float32),
            between=np.empty((rows, weights.up.scales.shape[1] // 2), np.float32),
            parts=np.empty((rows, blocks, self._heads, self._width + 2), np.float32),
            buffers=np.array([[layer.keys.data_ptr(), layer.values.data_ptr()] for layer in layers]),
            lengths=np.array(lengths),
            room=slots.room[1],
            counters=np.zeros((len(layers) * kernels.STAGES + 1) * self._counters, np.int64),
        )
        self._run(kernels.step, weights, work)
        return hidden[:, None]

    def logits(self, states: Tensor) -> Tensor:
        """States (..., D) → logits (..., V), the largest of each exact. Raises ConfigError for other than float32."""
        self._check(states, 0)
        flat = states.reshape(-1, states.shape[-1]).contiguous()
        out = torch.empty(len(flat), self._tokens)
        counters = np.zeros(self._counters, np.int64)
        self._run(self._kernels.multiply, self._vocabulary, flat.numpy(), out.numpy(), counters)
        likely = out.topk(min(_LIKELY, self._tokens)).indices  # (B, k)
        rows, new = self._outputs[1], likely - len(self._outputs[0])
        weights = F.embedding(likely.clamp(max=len(self._outputs[0]) - 1), self._outputs[0])  # (B, k, D)
        weights = torch.where((new >= 0)[..., None], F.embedding(new.clamp(min=0), rows), weights)
        out.scatter_(1, likely, (weights * flat[:, None]).sum(-1))
        return out.view(*states.shape[:-1], -1)

    def _matrix(self, layers: Iterable[Tensor]) -> Any:
        return self._kernels.matrix([layer.numpy() for layer in layers])

    def _check(self, numbers: Tensor, length: int) -> None:
        if numbers.dtype != torch.float32 or numbers.device.type != "cpu":
            raise ConfigError(
                f"decode='int8' takes float32 on a processor, got {numbers.dtype} on {numbers.device}; load the model "
                "without dtype and leave it where it is, or use decode='float'"
            )
        if length >= (most := self._weights.turns.shape[1]):
            raise ConfigError(f"the model knows {most} positions, got a slot that holds {length}; shorten it")

    def _run(self, kernel: Callable[..., None], *arguments: Any) -> None:
        """Call a kernel in all threads, and come back when all are done."""
        with self._lock:
            if (helpers := torch.get_num_threads() - 1) != self._helpers:
                self._pool, self._helpers = ThreadPoolExecutor(helpers, "decode") if helpers else None, helpers
            helping = [self._pool.submit(kernel, *arguments) for _ in range(helpers)] if self._pool else []
            kernel(*arguments)
            for each in helping:
                each.result()

    def _warm(self) -> None:
        """Have the kernels compiled, or read from numba's cache, before somebody waits for them."""
        slots, heads = Slots(), (self._weights.qkv.scales.shape[1] // self._width - self._heads) // 2
        slots.reserve(1, 1)
        empty = torch.zeros(1, heads, 0, self._width)
        slots.put(0, [(empty, empty)] * len(self._weights.qkv.codes))
        self.logits(self.states(torch.zeros(1, 1, self._weights.norms.shape[1]), slots, [0]))
