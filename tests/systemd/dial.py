"""A connection that is asked for, to see whether anybody is there: whatever is answered, somebody is."""

import errno
import select
import socket

# A port that refuses is an answer. So is a reset: whoever listened has ended after the first packets were exchanged, as
# an etcd does that is no member any more.
ANSWERS = (0, errno.ECONNREFUSED, errno.ECONNRESET)


class Dial:
    """One question; the kernel repeats it after 1, 3 and 7 seconds. To be used in a with block."""

    def __init__(self, address: str, port: int):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        self._refused = self._socket.connect_ex((address, port))

    def __enter__(self) -> "Dial":
        return self

    def __exit__(self, *_) -> None:
        self._socket.close()

    def answered(self, seconds: float) -> bool | None:
        """Whether the machine has answered; None if nothing was heard within so many seconds.

        False is this computer's own word: there is no way there.
        """
        if self._refused not in (0, errno.EINPROGRESS):
            return self._refused in ANSWERS
        poll = select.poll()
        poll.register(self._socket, select.POLLOUT)
        if not poll.poll(1000 * seconds):
            return None
        return self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) in ANSWERS
