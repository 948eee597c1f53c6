"""Ctrl-C and SIGTERM, turned into a wish that the loop looks at between steps."""

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

__all__ = ["Interruption"]


class Interruption:
    """While entered, SIGINT (Ctrl-C) or SIGTERM only sets ``requested``; a second SIGINT aborts at once.

    A second SIGTERM does not abort: launchers of several processes send one after every Ctrl-C. Outside the
    main thread Python forbids signal handlers; there it does nothing.
    """

    def __init__(self) -> None:
        self.requested = False
        self._pressed = False
        self._former: dict[signal.Signals, Callable[[int, FrameType | None], Any] | int | None] = {}

    def __enter__(self) -> "Interruption":
        """Take the signals over."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._former[number] = signal.signal(number, self._see)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the signals back to whoever had them."""
        for number, former in self._former.items():
            # None means that a handler was installed from C, which Python cannot put back
            signal.signal(number, signal.SIG_DFL if former is None else former)
        self._former.clear()

    def _see(self, number: int, frame: FrameType | None) -> None:
        del frame
        if number == signal.SIGINT:
            if self._pressed:
                raise KeyboardInterrupt
            self._pressed = True
        self.requested = True
