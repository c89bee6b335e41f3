#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Pages of a network namespace: one process for many of them.

  nsenter --net=NETNS fetcher.py      one URL a line in; a line with the number of its bytes out, and these.
                                      No bytes: it is not to be had

As a module: Fetcher, the other end of that.
"""
import subprocess
import sys
import urllib.error
import urllib.request

PATIENCE = 10  # seconds


def page(url):
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as reply:
            return reply.read()
    except urllib.error.HTTPError as error:
        return error.read() if error.code < 500 else b""
    except OSError:
        return b""


def serve():
    for line in sys.stdin:
        text = page(line.strip())
        sys.stdout.buffer.write(b"%d\n%b" % (len(text), text))
        sys.stdout.buffer.flush()


class Fetcher:
    """A process in a network namespace that gets what it is told to."""

    def __init__(self, netns):
        self.process = subprocess.Popen(["nsenter", f"--net={netns}", "--", sys.executable, __file__],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def get(self, url):
        self.process.stdin.write(url.encode() + b"\n")
        self.process.stdin.flush()
        return self.process.stdout.read(int(self.process.stdout.readline()))

    def close(self):
        self.process.stdin.close()
        self.process.wait(PATIENCE)


if __name__ == "__main__":
    serve()
