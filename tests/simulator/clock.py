# SPDX-License-Identifier: Apache-2.0
"""The simulator's time. It stands still until somebody advances it, so that no test has to wait for it.

Everything that the provider does later (makes a conference, calls back, tries again) is a task with a moment. advance()
runs those that become due, in order, in the caller's thread: when it returns, they have happened.
"""

import heapq
import itertools
import threading
import time


class Clock:
    def __init__(self, now):
        self._now = now
        self._tasks = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._turn = threading.RLock()  # one task at a time

    def now(self):
        """Seconds since 1970."""
        return self._now

    def after(self, seconds, task):
        with self._changed:
            heapq.heappush(self._tasks, (self.now() + seconds, next(self._numbers), task))
            self._changed.notify_all()

    def advance(self, seconds=0):
        """Runs what is due until then, also what becomes due on the way."""
        self._run_until(self.now() + seconds)

    def _run_until(self, moment):
        with self._turn:
            while task := self._take(moment):
                task()
            self._now = max(self._now, moment)

    def _take(self, moment):
        with self._changed:
            if not self._tasks or self._tasks[0][0] > moment:
                return None
            due, _, task = heapq.heappop(self._tasks)
            self._now = max(self._now, due)
            return task


class PacedClock(Clock):
    """Runs by itself, `pace` times as fast as the wall's: for demonstrations."""

    def __init__(self, now, pace):
        super().__init__(now)
        self._pace = pace
        self._start = now
        self._started = time.monotonic()
        threading.Thread(target=self._run, daemon=True).start()

    def now(self):
        return max(self._now, self._start + (time.monotonic() - self._started) * self._pace)

    def advance(self, seconds=0):
        self._start += seconds
        super().advance()

    def _run(self):
        while True:
            with self._changed:
                wait = (self._tasks[0][0] - self.now()) / self._pace if self._tasks else None
                if wait is None or wait > 0:
                    self._changed.wait(wait)
            self._run_until(self.now())
