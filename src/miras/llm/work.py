"""Many items at work at once, each begun when another is finished, until all are done or one fails."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from miras.errors import MirasError

__all__ = ["work_through"]

_Item = TypeVar("_Item")


async def work_through(items: Iterable[_Item], work: Callable[[_Item], Awaitable[None]], *, at_once: int) -> None:
    """Does the work on every item, at most so many at a time; `work` keeps what it has made before it ends.

    A MirasError of one ends it after the items that are under way, and is raised then; when it is cancelled, what is
    under way is cancelled too.
    """
    waiting = iter(items)
    failures: list[MirasError] = []

    async def some() -> None:
        for item in waiting:
            if failures:
                return
            try:
                await work(item)
            except MirasError as error:
                failures.append(error)
                return
            await asyncio.sleep(0)  # work that never waits must not keep Ctrl-C from coming through

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(some())
    if failures:
        raise failures[0]
