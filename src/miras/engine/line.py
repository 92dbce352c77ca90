"""The engine's thread: it does what is asked in order of arrival, conversation by conversation, and writes answers."""

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from miras.engine.desk import Desk, Question
from miras.errors import EngineBusy, EngineStopped

__all__ = ["Line"]

_Result = TypeVar("_Result")

_LOG = logging.getLogger("miras.engine")
_LONG = 0.05
"""Seconds after which a beginning counts as long: no other question begins before the next step."""


@dataclass(eq=False)
class _Call:
    """Something to be done between two steps, while somebody waits."""

    work: Callable[[], Any]
    name: str | None
    """The conversation whose turn it awaits, if any."""
    done: "queue.SimpleQueue[tuple[Any, BaseException | None]]" = field(default_factory=queue.SimpleQueue)


class Line:
    """What waits, and the thread that serves it.

    What is asked of one conversation happens one after another; questions to several are answered side by side, at
    most `batch` at once, in order of arrival.
    """

    def __init__(self, desk: Desk, begin: Callable[[Question], None], *, batch: int, waiting: int) -> None:
        self._desk, self._begin, self._batch, self._most = desk, begin, batch, batch + waiting
        self._inbox = queue.SimpleQueue[_Call | Question | None]()
        self._orders = list[_Call | Question]()
        self._lock = threading.Lock()
        self._asked = 0
        self._until: float | None = None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Questions that wait."""
        return self._asked

    @property
    def busy(self) -> set[str]:
        """Conversations with a question that waits or is being answered; for the engine's thread."""
        return self._desk.names | {order.name for order in self._orders if isinstance(order, Question)}

    def ask(self, question: Question) -> None:
        """Let a question wait for its turn. Raises EngineBusy, EngineStopped."""
        with self._lock:
            if self._asked + self._desk.count >= self._most:
                raise EngineBusy(f"{self._asked} questions are waiting, no more fit; try again in some seconds")
            self._put(question)
            self._asked += 1

    def do(self, work: Callable[[], _Result], name: str | None = None) -> _Result:
        """Do something on the engine's thread, with a name behind all that was asked of that conversation before."""
        call = _Call(work, name)
        with self._lock:
            self._put(call)
        value, error = call.done.get()
        if error is not None:
            raise error
        return value

    def stop(self, grace: float) -> None:
        """Refuse what waits and what comes, and end when the answers under way have, at most `grace` seconds later."""
        with self._lock:
            if self._until is None:
                self._until = time.monotonic() + grace
                self._inbox.put(None)
        self._thread.join(grace + 60)

    def _put(self, order: _Call | Question) -> None:
        if self._until is not None or not self._thread.is_alive():
            raise _stopped()
        self._inbox.put(order)

    def _run(self) -> None:
        try:
            while self._take():
                self._serve()
                if self._desk.count:
                    self._desk.advance()
        except BaseException:
            _LOG.exception("the engine has stopped")
            raise
        finally:
            with self._lock:
                self._until = self._until or time.monotonic()
            try:
                self._desk.leave_all()
            finally:  # whatever has gone wrong, nobody waits for ever
                self._collect(wait=False)
                self._refuse()

    def _take(self) -> bool:
        """Collect what has come, waiting for it where there is nothing else to do; whether to go on."""
        self._collect(wait=self._until is None and not self._orders and not self._desk.count)
        if self._until is None:
            return True
        self._refuse()
        return bool(self._desk.count) and time.monotonic() < self._until

    def _collect(self, *, wait: bool) -> None:
        try:
            order = self._inbox.get(block=wait)
            while True:
                if order is not None:
                    self._orders.append(order)
                order = self._inbox.get_nowait()
        except queue.Empty:
            pass

    def _serve(self) -> None:
        """Begin or do what need not wait for something else asked of the same conversation."""
        held, full = self._desk.names, False
        for order in list(self._orders):
            if isinstance(order, Question) and order.dropped:
                self._leave_line(order)
                order.put(None)
            elif order.name in held:
                continue
            elif isinstance(order, _Call):
                self._leave_line(order)
                _do(order)
            elif full or self._desk.count >= self._batch:
                held.add(order.name)
            else:
                self._leave_line(order)
                began = time.perf_counter()
                self._begin(order)
                held.add(order.name)
                full = time.perf_counter() - began > _LONG

    def _leave_line(self, order: _Call | Question) -> None:
        self._orders.remove(order)
        if isinstance(order, Question):
            with self._lock:
                self._asked -= 1

    def _refuse(self) -> None:
        for order in list(self._orders):
            self._leave_line(order)
            if isinstance(order, Question):
                order.put(_stopped())
            else:
                order.done.put((None, _stopped()))


def _do(call: _Call) -> None:
    try:
        call.done.put((call.work(), None))
    except BaseException as error:
        call.done.put((None, error))


def _stopped() -> EngineStopped:
    return EngineStopped("the server is stopping and takes no more questions; try again in a minute")
