"""One more token for each of some conversations, in 8-bit weights: numba's kernels of `miras.model.quick`.

A call is made by several threads at once with the same arguments. The work of a pass is a line of stages, each cut
into tickets; threads draw tickets, and nobody passes a stage before its last ticket is done. A thread that comes late
finds no tickets left and passes on, so that one thread alone also gets through, and the answer never depends on how
many there are. Whole numbers are summed without rounding and each row is computed by itself, so a row's numbers do
not depend on its company.

L layers, D width, H query heads, G heads of keys and values, W width of a head, M width between, B rows of a batch.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import carray, njit, types
from numba.extending import intrinsic

from miras.model.quick_sums import STRIP, TILE, gated, join, look_at, norm, round_off, tile, turn
from miras.model.quick_tickets import done, draw, wait

__all__ = ["BLOCK", "STAGES", "TICKET", "Matrix", "Weights", "Work", "matrix", "multiply", "step"]

BLOCK = 128
"""Tokens whose keys and values one ticket reads."""
TICKET = 64
"""Matrix rows of a ticket, at most; the output layer takes more."""
STAGES = 5
"""Of a layer: queries, keys and values; attention; its output; gate and up; down."""

_QKV, _ATTEND, _OUT, _UP, _DOWN = range(STAGES)


class Matrix(NamedTuple):
    """Matrices of all layers in 8 bits, as the kernels read them; see `matrix`."""

    codes: np.ndarray
    """(L, tiles, strips, TILE, STRIP) int8."""
    scales: np.ndarray
    """(L, N) float32 for N rows, whole tiles."""


class Weights(NamedTuple):
    """A Llama without its embeddings."""

    norms: np.ndarray
    """(2L + 1, D) float32: before attention and before the mlp of each layer, and the last one."""
    qkv: Matrix
    """((H + 2G) W, D): queries, keys, values."""
    out: Matrix
    """(D, H W)."""
    up: Matrix
    """(2M, D): a row of the gate, the same of up, and so on."""
    down: Matrix
    """(D, M)."""
    turns: np.ndarray
    """(2, T, W / 2) float32: cosines and sines of the rotary positions."""
    epsilon: np.float32
    """Of the norms."""


class Work(NamedTuple):
    """What one pass reads and writes."""

    hidden: np.ndarray
    """(B, D) float32: embeddings, at the end the last hidden states."""
    queries: np.ndarray
    """(B, H, W) float32."""
    between: np.ndarray
    """(B, M) float32: what the mlp's second matrix multiplies."""
    parts: np.ndarray
    """(B, blocks, H, W + 2) float32: attention block by block: values, the sum of weights, the largest score."""
    buffers: np.ndarray
    """(L, 2) int64: addresses of keys and values, (slots, G, room, W) float32 each."""
    lengths: np.ndarray
    """(B,) int64: tokens that each slot holds before."""
    room: int
    """Tokens that a slot has room for."""
    counters: np.ndarray
    """(stages * COUNTERS,) int64 zeros; see `quick_tickets`."""


def matrix(layers: Sequence[np.ndarray]) -> Matrix:
    """Matrices (N, K) float32 rounded row by row, the largest number of each at 127, and filled up with zeros."""
    rows, columns = layers[0].shape
    codes = np.zeros((len(layers), -(-rows // TILE), -(-columns // STRIP), TILE, STRIP), np.int8)
    scales = np.full((len(layers), len(codes[0]) * TILE), 1e-30, np.float32)
    for tiles, scale, layer in zip(codes, scales, layers, strict=True):
        scale[:rows] = np.maximum(np.abs(layer).max(1) / 127, 1e-30)
        full = np.zeros((scale.size, tiles.shape[1] * STRIP), np.int8)
        full[:rows, :columns] = np.rint(layer / scale[:rows, None])
        tiles[:] = full.reshape(-1, TILE, tiles.shape[1], STRIP).swapaxes(1, 2)
    return Matrix(codes, scales)


@intrinsic
def _floats(typing, address):  # type: ignore[no-untyped-def]
    """A number as a pointer to float32."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.float32)(types.int64), generate


@njit(nogil=True)
def _products(matrix, layer, begin, end, desk):  # type: ignore[no-untyped-def]
    """Matrix rows from `begin` to `end`, whole tiles, times the inputs of a desk → its products."""
    inputs, units, _, products, sums = desk
    codes, scales, r = matrix.codes[layer], matrix.scales[layer], 0
    strips, stride = codes.shape[1], inputs.shape[1]
    for n in range(begin, end, TILE):
        r = 0
        while r < len(inputs):
            lanes = TILE if r + TILE <= len(inputs) else 1
            row, lane, out = codes[n // TILE :].ctypes.data, inputs[r:].ctypes.data, sums.ctypes.data
            if lanes == TILE:
                tile(row, lane, strips, stride, out, TILE)
            else:
                tile(row, lane, strips, stride, out, 1)
            for p in range(TILE):
                for q in range(lanes):
                    products[r + q, n + p - begin] = np.float32(sums[p * lanes + q]) * (units[r + q] * scales[n + p])
            r += lanes


@njit(nogil=True)
def _read_hidden(which, weights, work, desk):  # type: ignore[no-untyped-def]
    """The normed hidden states become the inputs of the next matrix."""
    inputs, units, numbers = desk[:3]
    width = work.hidden.shape[1]
    for r in range(len(work.hidden)):
        norm(work.hidden[r], weights.norms[which], weights.epsilon, numbers[:width])
        units[r] = round_off(numbers[:width], inputs[r])


@njit(nogil=True)
def _prepare(kind, layer, weights, work, desk):  # type: ignore[no-untyped-def]
    """What a thread needs for its tickets of a stage, on its own desk."""
    inputs, units, numbers = desk[:3]
    heads, width = work.queries.shape[1:]
    if kind == _QKV:
        _read_hidden(2 * layer, weights, work, desk)
    elif kind == _OUT:
        for r in range(len(work.hidden)):
            blocks = work.lengths[r] // BLOCK + 1
            for h in range(heads):
                join(work.parts[r, :blocks, h], numbers[h * width : (h + 1) * width])
            units[r] = round_off(numbers[: heads * width], inputs[r])
    elif kind == _UP:
        _read_hidden(2 * layer + 1, weights, work, desk)
    elif kind == _DOWN:
        for r in range(len(work.hidden)):
            units[r] = round_off(work.between[r], inputs[r])


@njit(nogil=True)
def _project(layer, ticket, weights, work, desk):  # type: ignore[no-untyped-def]
    """One head of the queries, or of the keys or values, which go to their place behind what a slot holds."""
    products = desk[3]
    heads, width = work.queries.shape[1:]
    groups = (weights.qkv.scales.shape[1] // width - heads) // 2
    _products(weights.qkv, layer, ticket * width, (ticket + 1) * width, desk)
    slots = (len(work.hidden), groups, work.room, width)
    keys, values = carray(_floats(work.buffers[layer, 0]), slots), carray(_floats(work.buffers[layer, 1]), slots)
    for r in range(len(work.hidden)):
        position = work.lengths[r]
        head = products[r, :width]
        if ticket < heads:
            turn(head, weights.turns[:, position], np.float32(1 / np.sqrt(width)))
            work.queries[r, ticket] = head
        elif ticket < heads + groups:
            turn(head, weights.turns[:, position], np.float32(1))
            keys[r, ticket - heads, position] = head
        else:
            values[r, ticket - heads - groups, position] = head


@njit(nogil=True)
def _attend(layer, ticket, weights, work, desk):  # type: ignore[no-untyped-def]
    """The heads of one group of one row meet one block of its tokens."""
    heads, width = work.queries.shape[1:]
    groups = (weights.qkv.scales.shape[1] // width - heads) // 2
    rest, block = divmod(ticket, work.parts.shape[1])
    r, group = divmod(rest, groups)
    begin = block * BLOCK
    count = min(work.lengths[r] + 1 - begin, BLOCK)
    if count > 0:
        slots = (len(work.hidden), groups, work.room, width)
        keys, values = carray(_floats(work.buffers[layer, 0]), slots), carray(_floats(work.buffers[layer, 1]), slots)
        first, last = group * (heads // groups), (group + 1) * (heads // groups)
        queries, parts = work.queries[r, first:last], work.parts[r, block, first:last]
        look_at(queries, keys[r, group, begin:], values[r, group, begin:], count, desk[2], parts)


@njit(nogil=True)
def _compute(kind, layer, ticket, weights, work, desk):  # type: ignore[no-untyped-def]
    """One ticket of a stage."""
    products = desk[3]
    if kind == _QKV:
        _project(layer, ticket, weights, work, desk)
    elif kind == _ATTEND:
        _attend(layer, ticket, weights, work, desk)
    elif kind == _UP:
        begin, end = ticket * TICKET, min((ticket + 1) * TICKET, weights.up.scales.shape[1])
        _products(weights.up, layer, begin, end, desk)
        for r in range(len(work.hidden)):
            gated(products[r], work.between[r, begin // 2 : end // 2])
    else:
        matrix = weights.out if kind == _OUT else weights.down
        begin = ticket * (TICKET // 2)
        end = min(begin + TICKET // 2, work.hidden.shape[1])
        _products(matrix, layer, begin, end, desk)
        for r in range(len(work.hidden)):
            for n in range(begin, end):
                work.hidden[r, n] += products[r, n - begin]


@njit(nogil=True)
def _desk(rows, columns, most):  # type: ignore[no-untyped-def]
    """Room of one thread: inputs in whole numbers, their units, float numbers, products, and sums of a tile."""
    return (
        np.zeros((rows, columns), np.int16),
        np.empty(rows, np.float32),
        np.empty(max(columns, BLOCK), np.float32),
        np.empty((rows, most), np.float32),
        np.empty(TILE * TILE, np.int32),
    )


@njit(nogil=True, cache=True)
def step(weights, work):  # type: ignore[no-untyped-def]
    """A whole pass; each thread calls it, and `work.hidden` is done when all have returned."""
    (heads, width), rows = work.queries.shape[1:], len(work.hidden)
    tiles = 2 * -(-work.hidden.shape[1] // TICKET)
    groups = (weights.qkv.scales.shape[1] // width - heads) // 2
    counts = (
        heads + 2 * groups,
        rows * groups * work.parts.shape[1],
        tiles,
        -(-weights.up.scales.shape[1] // TICKET),
        tiles,
    )
    columns = STRIP * max(weights.qkv.codes.shape[2], weights.out.codes.shape[2], weights.down.codes.shape[2])
    desk = _desk(rows, columns, max(TICKET, width))
    stages = STAGES * len(weights.qkv.codes)
    for stage in range(stages):
        layer, kind = divmod(stage, STAGES)
        tickets, ticket = counts[kind], draw(work.counters, stage)
        if ticket < tickets:  # what it reads stays as it is for as long as this ticket is not done
            _prepare(kind, layer, weights, work, desk)
        while ticket < tickets:
            _compute(kind, layer, ticket, weights, work, desk)
            done(work.counters, stage)
            ticket = draw(work.counters, stage)
        wait(work.counters, stage, tickets)
    if draw(work.counters, stages) == 0:
        for r in range(rows):
            norm(work.hidden[r], weights.norms[-1], weights.epsilon, work.hidden[r])


@njit(nogil=True, cache=True)
def multiply(matrix, inputs, out, counters):  # type: ignore[no-untyped-def]
    """Inputs (B, K) float32 times the first of the matrices → out (B, N); each thread calls it."""
    rows, most = len(inputs), 4 * TICKET
    desk = _desk(rows, matrix.codes.shape[2] * STRIP, most)
    for r in range(rows):
        desk[1][r] = round_off(inputs[r], desk[0][r])
    ticket = draw(counters, 0)
    while ticket * most < out.shape[1]:
        begin, end = ticket * most, min((ticket + 1) * most, matrix.scales.shape[1])
        _products(matrix, 0, begin, end, desk)
        end = min(end, out.shape[1])
        out[:, begin:end] = desk[3][:, : end - begin]
        ticket = draw(counters, 0)
