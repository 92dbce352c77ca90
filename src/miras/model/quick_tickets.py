"""Work that several threads share out among themselves: each draws tickets until none are left.

`counters` holds int64 zeros, sixteen a stage: of each, tickets drawn and, a cache line on, tickets that are done.
"""

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

__all__ = ["COUNTERS", "done", "draw", "wait"]

COUNTERS = 16
"""int64 numbers of a stage; what different threads write often does not share a cache line."""
_PATIENCE = 2000
"""Looks at a counter before a thread lets others have the processor."""

_yield = types.ExternalFunction("sched_yield", types.int32())


@intrinsic
def _add(typing, counters, place):  # type: ignore[no-untyped-def]
    """Add one to counters[place], seen by all threads; what it was."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        pointer = builder.gep(array.data, [arguments[1]])
        return builder.atomic_rmw("add", pointer, ir.Constant(ir.IntType(64), 1), "seq_cst")

    return types.int64(counters, types.intp), generate


@intrinsic
def _look(typing, counters, place):  # type: ignore[no-untyped-def]
    """counters[place] as other threads have written it, and all that they wrote before."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        return builder.load_atomic(builder.gep(array.data, [arguments[1]]), "acquire", 8)

    return types.int64(counters, types.intp), generate


@njit(nogil=True)
def draw(counters, stage):  # type: ignore[no-untyped-def]
    """The next ticket of a stage, from 0 on; there may be no such ticket any more."""
    return _add(counters, stage * COUNTERS)


@njit(nogil=True)
def done(counters, stage):  # type: ignore[no-untyped-def]
    """A ticket of the stage is done, and what it wrote is for all to see."""
    _add(counters, stage * COUNTERS + COUNTERS // 2)


@njit(nogil=True)
def wait(counters, stage, tickets):  # type: ignore[no-untyped-def]
    """Come back when all tickets of a stage are done."""
    looked = 0
    while _look(counters, stage * COUNTERS + COUNTERS // 2) < tickets:
        looked += 1
        if looked > _PATIENCE:
            _yield()
