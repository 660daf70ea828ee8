"""One start of kubelet's service before kubelet itself: the commands of its drop-ins, one after the other.

They run beside the supervisor, which goes on to answer: such a command may ask systemctl and crictl, too.
"""

import subprocess
import sys
import time

from . import containers, unit

UNIT = "kubelet.service"
LIMIT = 90.0  # seconds for each command: systemd's default for a start
RESTART = 10.0  # seconds after a start that failed: the RestartSec= of kubelet's unit


class Starting:
    """`tick` it until it is `over`; `failed` says then whether kubelet may not run, and `again_at` when to try anew."""

    def __init__(self):
        self.over, self.failed, self.again_at = False, False, 0.0
        self._process, self._ignored, self._end = None, False, 0.0
        try:
            before = unit.Before(UNIT)
            self._left, self._env = before.commands, before.env
        except (OSError, ValueError) as error:
            self._left, self._env = [], {}
            self._finish(f"cannot be started: {error}")

    def tick(self):
        """Sees after the command that runs, and starts the next one. Called by the main thread only."""
        while not self.over:
            if self._process:
                if self._process.poll() is None and time.monotonic() < self._end:
                    return
                self._ended()
            elif self._left:
                self._start(*self._left.pop(0))
            else:
                self.over = True

    def stop(self):
        """Ends the command that runs; none follows."""
        if self._process:
            self._kill()
        self._finish("was stopped")

    def _start(self, argv, ignored):
        self._ignored, self._end = ignored, time.monotonic() + LIMIT
        try:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                env=self._env,
                preexec_fn=containers.die_with_parent,
                start_new_session=True,
            )
        except OSError as error:
            if not ignored:
                self._finish(f"cannot be started: {error}")

    def _ended(self):
        code = self._process.poll()
        if code is None:
            # A dash forgives what a command says, not that it says nothing.
            self._kill()
            self._finish(f"did not end within {LIMIT:g} s")
            return
        self._process = None
        if code and not self._ignored:
            self._finish(f"ended with {code}")

    def _kill(self):
        self._process.kill()
        self._process.wait()
        self._process = None

    def _finish(self, why):
        print(f"{UNIT}: ExecStartPre= {why}", file=sys.stderr, flush=True)
        self.over, self.failed, self.again_at = True, True, time.monotonic() + RESTART
