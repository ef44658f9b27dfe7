"""Long calls: progress by step, callbacks in the caller's own thread, and Ctrl-C that stops at the next
step."""

import json
import queue
import threading
from typing import Any, Callable, Dict, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from . import library
from .errors import Cancelled
from .handle import Handle, Result
from .library import Progress


class Step(NamedTuple):
    """What a callback gets: `done` of `total` steps, and what else there is to tell by name."""

    done: int
    total: int
    info: Dict[str, Any]


# Returns something true to stop: the call then raises Cancelled.
Callback = Callable[[Step], Any]


def run(
    call: str,
    handle: Handle,
    settings: Dict[str, Any],
    saes: Sequence[Handle],
    start: Optional[np.ndarray],
    extents: Tuple[int, ...],
    callback: Optional[Callback],
    progress: Optional[bool],
    name: str,
) -> Result:
    """Runs a call that tells of its steps, and makes a result. `start`: what it begins from, of these
    `extents`.

    In the main thread the library works in another one: there Python's signals would wait for its end. An
    exception of the callback, KeyboardInterrupt too, stops the work at its next step and is raised here.
    """

    def work(step: Any) -> int:
        return library.made(
            call,
            handle.pointer,
            library.settings(settings),
            None if start is None else start.ctypes.data,
            None if start is None else library.extents(extents),
            library.pointers([sae.pointer for sae in saes]),
            len(saes),
            step,
            None,
        )

    observer = _Observer(handle, callback, bar(progress, name))
    try:
        if threading.current_thread() is threading.main_thread():
            return observer.result(_beside(handle, work, observer))
        return observer.result(lambda: Result(work(Progress(observer.step))))
    finally:
        observer.finish()


class _Observer:
    """Tells the callback and the progress bar of steps, and keeps what they raise."""

    def __init__(self, handle: Handle, callback: Optional[Callback], bar: Any) -> None:
        self.handle, self.callback, self.bar = handle, callback, bar
        self.raised: Optional[BaseException] = None

    def step(self, _: Any, done: int, total: int, text: Optional[bytes]) -> int:
        """Non-zero to stop."""
        if self.raised is not None:
            return 1
        try:
            self.handle._calling_back = threading.get_ident()
            self._show(done, total)
            info = json.loads(text) if text else {}
            return 1 if self.callback is not None and self.callback(Step(done, total, info)) else 0
        except BaseException as problem:
            self.raised = problem
            return 1
        finally:
            self.handle._calling_back = None

    def result(self, work: Callable[[], Result]) -> Result:
        """What `work` makes, unless something was raised meanwhile, which comes before being cancelled by
        it."""
        try:
            result = work()
        except Cancelled:
            if self.raised is None:
                raise
        if self.raised is not None:
            raise self.raised
        return result

    def _show(self, done: int, total: int) -> None:
        if self.bar is not None:
            self.bar.total = total
            self.bar.update(done - self.bar.n)

    def finish(self) -> None:
        if self.bar is not None:
            self.bar.close()


def _beside(handle: Handle, work: Callable[[Any], int], observer: _Observer) -> Callable[[], Result]:
    """Does the work in a thread of its own, its steps handed to this one; returns what gives its outcome."""
    steps: "queue.SimpleQueue[Any]" = queue.SimpleQueue()
    answers: "queue.SimpleQueue[int]" = queue.SimpleQueue()
    outcome: Dict[str, Any] = {}

    def ask(*step: Any) -> int:
        steps.put(step)
        # An interrupt of the main thread may lose a step or an answer.
        while observer.raised is None:
            try:
                return answers.get(timeout=0.2)
            except queue.Empty:
                continue
        return 1

    def body() -> None:
        try:
            outcome["result"] = Result(work(Progress(ask)))
        except BaseException as problem:
            outcome["problem"] = problem
        steps.put(None)

    worker = threading.Thread(target=body, name="lvo", daemon=True)
    worker.start()
    while worker.is_alive():
        try:
            step = steps.get(timeout=0.2)
            if step is None:
                break
            answers.put(observer.step(*step))
        except queue.Empty:
            continue
        except KeyboardInterrupt as interrupt:
            observer.raised = interrupt
            handle.cancel()
    worker.join()
    return lambda: _unwrapped(outcome)


def _unwrapped(outcome: Dict[str, Any]) -> Result:
    if "problem" in outcome:
        raise outcome["problem"]
    return outcome["result"]


def bar(progress: Optional[bool], name: str, total: int = 1) -> Any:
    """tqdm's bar, unless it is unwanted or not installed."""
    if progress is False:
        return None
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    return tqdm(total=total, desc=name, leave=False)
