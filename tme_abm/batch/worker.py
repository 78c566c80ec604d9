"""A worker process: gets numbers on its standard input, and gives what its task makes of each on its standard output.

The task comes with the first number, and another one with the number that it begins with.
"""

import os
import pickle
import sys
import threading
from typing import IO, Any

from tme_abm.batch.executors import receive, send


def serve(numbers: IO[bytes], answers: IO[bytes]) -> None:
    """Work until nobody asks any more."""
    work: Any = None
    while True:
        is_new, index = pickle.loads(receive(numbers))
        if is_new:
            work = pickle.loads(receive(numbers))
        try:
            answer = (True, work(index))
        except Exception as error:
            answer = (False, error)
        send(answers, pickled(answer))


def pickled(answer: tuple[bool, Any]) -> bytes:
    """An answer as it travels."""
    try:
        return pickle.dumps(answer)
    except Exception:  # an error that holds what cannot be sent
        return pickle.dumps((False, RuntimeError(f"{type(answer[1]).__name__}: {answer[1]}")))


def _follow_parent() -> None:
    """End with the process that started this one, in the middle of a piece of work too."""
    parent = os.getppid()
    pause = threading.Event()
    while os.getppid() == parent:
        pause.wait(1.0)
    os._exit(1)


def main() -> None:
    """Serve on standard input and output; whatever else prints goes to the error output."""
    numbers, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    if os.name != "nt":
        threading.Thread(target=_follow_parent, daemon=True).start()
    try:
        serve(numbers, answers)
    except (EOFError, BrokenPipeError):
        os._exit(0)


if __name__ == "__main__":
    main()
