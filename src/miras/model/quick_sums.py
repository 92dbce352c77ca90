"""What the stages of `miras.model.quick_kernels` compute, each on one thread: numba's kernels.

Where the kernels are kept compiled, numba sees a change of `quick_kernels` alone: save that file too after a change
here. Letters are those of `quick_kernels`.
"""

import numpy as np
from llvmlite import binding, ir
from numba import config, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["STRIP", "TILE", "exp", "gated", "join", "look_at", "norm", "round_off", "tile", "turn", "weigh"]

TILE = 4
"""Rows of a matrix, and of a batch, that `tile` takes at a time."""

_LOOSE = {"nogil": True, "fastmath": {"reassoc", "contract", "nsz", "arcp"}}
"""Sums of floats in any order, which is what lets a compiler take them side by side."""


def _at_once() -> tuple[int, str]:
    """How many int16 this processor multiplies at once, and LLVM's name for it, empty where it has none.

    One that numba is told to take for another (NUMBA_CPU_NAME) counts as having none.
    """
    features = {} if config.CPU_NAME or config.CPU_FEATURES else binding.get_host_cpu_features()
    if features.get("avx512bw"):
        return 32, "llvm.x86.avx512.pmaddw.d.512"
    return 16, "llvm.x86.avx2.pmadd.wd" if features.get("avx2") else ""


STRIP, _MULTIPLY = _at_once()
"""Numbers of a row that lie side by side, before those of the next row of its tile."""


@intrinsic(prefer_literal=True)
def tile(typing, codes, inputs, strips, stride, sums, lanes):  # type: ignore[no-untyped-def]
    """TILE matrix rows (strips, TILE, STRIP) int8 times `lanes` inputs (…, stride) int16 → sums (TILE, lanes) int32.

    All by address. Each number is read once, in the order of memory, and LLVM keeps the sums in registers.
    """
    i8, i16, i32, i64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
    short, whole = ir.VectorType(i16, STRIP), ir.VectorType(i32, STRIP // 2)

    def load(builder, address, kind):  # type: ignore[no-untyped-def]
        return builder.load(builder.inttoptr(address, kind.as_pointer()), align=1)

    def products(builder, x, y):  # type: ignore[no-untyped-def]
        """Neighbouring products, added two by two."""
        if _MULTIPLY:
            called = cgutils.get_or_insert_function(builder.module, ir.FunctionType(whole, [short, short]), _MULTIPLY)
            return builder.call(called, [x, y])
        sides = []
        for first in (0, 1):
            which = ir.Constant(ir.VectorType(i32, STRIP // 2), list(range(first, STRIP, 2)))
            part = [builder.sext(builder.shuffle_vector(v, v, which), whole) for v in (x, y)]
            sides.append(builder.mul(*part))
        return builder.add(*sides)

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        codes, inputs, strips, stride, sums = arguments[:5]
        places = [(r, c) for r in range(TILE) for c in range(lanes.literal_value)]
        totals = {place: cgutils.alloca_once(builder, whole) for place in places}
        for total in totals.values():
            builder.store(ir.Constant(whole, None), total)
        with cgutils.for_range(builder, strips) as loop:
            begin = builder.mul(loop.index, i64(STRIP))
            row = [builder.add(codes, builder.add(builder.mul(begin, i64(TILE)), i64(r * STRIP))) for r in range(TILE)]
            row = [builder.sext(load(builder, each, ir.VectorType(i8, STRIP)), short) for each in row]
            lane = [builder.add(builder.mul(stride, i64(c)), begin) for c in range(lanes.literal_value)]
            lane = [load(builder, builder.add(inputs, builder.mul(each, i64(2))), short) for each in lane]
            for r, c in places:
                total = builder.load(totals[r, c])
                builder.store(builder.add(total, products(builder, row[r], lane[c])), totals[r, c])
        kind = ir.FunctionType(i32, [whole])
        add = cgutils.get_or_insert_function(builder.module, kind, f"llvm.vector.reduce.add.v{STRIP // 2}i32")
        for index, place in enumerate(places):
            address = builder.inttoptr(builder.add(sums, i64(4 * index)), i32.as_pointer())
            builder.store(builder.call(add, [builder.load(totals[place])]), address)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 5, lanes), generate


@njit(**_LOOSE)
def exp(x):  # type: ignore[no-untyped-def]
    """e^x for x ≤ 0 or moderate, to 4e-6 of it, in steps that a compiler can take side by side."""
    y = min(max(x * np.float32(1.4426950408889634), np.float32(-126.0)), np.float32(126.0))
    whole = np.int32(y + np.float32(126.5)) - np.int32(126)
    z = (y - np.float32(whole)) * np.float32(0.6931471805599453)
    p = np.float32(1 / 5040)
    p = p * z + np.float32(1 / 720)
    p = p * z + np.float32(1 / 120)
    p = p * z + np.float32(1 / 24)
    p = p * z + np.float32(1 / 6)
    p = p * z + np.float32(0.5)
    p = p * z + np.float32(1.0)
    p = p * z + np.float32(1.0)
    return p * np.int32((np.int32(whole) + np.int32(127)) << np.int32(23)).view(np.float32)


@njit(nogil=True)
def round_off(numbers, codes):  # type: ignore[no-untyped-def]
    """Numbers (K,) in whole ones (K padded,) int16, as fine as a sum of K products with int8 has room for; the unit."""
    peak = np.float32(0)
    for i in range(numbers.size):
        peak = max(peak, abs(numbers[i]))
    if peak == 0:
        codes[:] = 0
        return peak
    most = min(np.int32(32767), np.int32((2**31 - 1) // (127 * numbers.size)) - np.int32(1))
    scale = np.float32(most) / peak
    for i in range(numbers.size):
        x = numbers[i] * scale
        codes[i] = np.int16(np.int32(x + (np.float32(0.5) if x > 0 else np.float32(-0.5))))
    return peak / np.float32(most)


@njit(**_LOOSE)
def norm(numbers, weight, epsilon, out):  # type: ignore[no-untyped-def]
    """The root mean square norm of (D,)."""
    total = np.float32(0)
    for i in range(numbers.size):
        total += numbers[i] * numbers[i]
    factor = np.float32(1) / np.sqrt(total / np.float32(numbers.size) + epsilon)
    for i in range(numbers.size):
        out[i] = numbers[i] * factor * weight[i]


@njit(**_LOOSE)
def turn(numbers, turns, factor):  # type: ignore[no-untyped-def]
    """Rotate a head (W,) by cosines and sines (2, W / 2), in place, and stretch it."""
    half = numbers.size // 2
    for i in range(half):
        cosine, sine = turns[0, i] * factor, turns[1, i] * factor
        first, second = numbers[i], numbers[i + half]
        numbers[i] = first * cosine - second * sine
        numbers[i + half] = second * cosine + first * sine


@njit(**_LOOSE)
def look_at(queries, keys, values, count, scores, parts):  # type: ignore[no-untyped-def]
    """Queries (n, W) of one group meet `count` keys and values (…, W) → parts (n, W + 2).

    A part is the weighted sum of values, the sum of weights and the score whose weight is 1. Four tokens at a time.
    """
    width, fours = queries.shape[1], count // 4 * 4
    for h in range(len(queries)):
        query, part = queries[h], parts[h]
        for t in range(0, fours, 4):
            k0, k1, k2, k3 = keys[t], keys[t + 1], keys[t + 2], keys[t + 3]
            s0 = s1 = s2 = s3 = np.float32(0)
            for i in range(width):
                s0 += query[i] * k0[i]
                s1 += query[i] * k1[i]
                s2 += query[i] * k2[i]
                s3 += query[i] * k3[i]
            scores[t], scores[t + 1], scores[t + 2], scores[t + 3] = s0, s1, s2, s3
        for t in range(fours, count):
            s0 = np.float32(0)
            for i in range(width):
                s0 += query[i] * keys[t, i]
            scores[t] = s0
        part[width + 1] = weigh(scores[:count])
        part[: width + 1] = 0
        for t in range(0, fours, 4):
            v0, v1, v2, v3 = values[t], values[t + 1], values[t + 2], values[t + 3]
            s0, s1, s2, s3 = scores[t], scores[t + 1], scores[t + 2], scores[t + 3]
            for i in range(width):
                part[i] += s0 * v0[i] + s1 * v1[i] + s2 * v2[i] + s3 * v3[i]
            part[width] += s0 + s1 + s2 + s3
        for t in range(fours, count):
            for i in range(width):
                part[i] += scores[t] * values[t, i]
            part[width] += scores[t]


@njit(**_LOOSE)
def weigh(scores):  # type: ignore[no-untyped-def]
    """Scores become weights, in place, that of the largest 1; that score."""
    most = scores[0]
    for t in range(scores.size):
        most = max(most, scores[t])
    for t in range(scores.size):
        scores[t] = exp(scores[t] - most)
    return most


@njit(**_LOOSE)
def join(parts, out):  # type: ignore[no-untyped-def]
    """What blocks (n, W + 2) of one head saw together → (W,)."""
    width = out.size
    most = np.float32(-1e30)
    for b in range(len(parts)):
        most = max(most, parts[b, width + 1])
    out[:] = 0
    total = np.float32(0)
    for b in range(len(parts)):
        weight = exp(parts[b, width + 1] - most)
        total += weight * parts[b, width]
        for i in range(width):
            out[i] += weight * parts[b, i]
    for i in range(width):
        out[i] /= total


@njit(**_LOOSE)
def gated(products, out):  # type: ignore[no-untyped-def]
    """Products (2 n,) of gate and up in turn → silu(gate) * up (n,)."""
    for i in range(out.size):
        gate = products[2 * i]
        out[i] = gate / (np.float32(1) + exp(-gate)) * products[2 * i + 1]
