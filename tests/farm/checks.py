# SPDX-License-Identifier: BSD-2-Clause
"""What a test compares: it goes on after a fault, and says when each part was done."""
import time


class Checks:
    def __init__(self):
        self.wrong = 0
        self.began = time.monotonic()

    def equal(self, what, got, wanted):
        if got != wanted:
            self.wrong += 1
            print(f"FAILED {what}: {got!r}, not {wanted!r}", flush=True)

    def true(self, what, holds, evidence=""):
        if not holds:
            self.wrong += 1
            print(f"FAILED {what}\n{evidence}", flush=True)

    def done(self, what):
        print(f"{time.monotonic() - self.began:6.1f} s  {what}", flush=True)
