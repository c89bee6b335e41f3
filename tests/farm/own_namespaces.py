# SPDX-License-Identifier: BSD-2-Clause
"""A test that has a network, mounts and processes of its own; what it started ends with it."""
import os
import sys

MARK = "TFO_TEST_OWN_NAMESPACES"


def enter():
    """Runs this program anew in them; returns there. Needs root."""
    if os.environ.pop(MARK, None) is None:
        os.execvpe("unshare", ["unshare", "--net", "--mount", "--propagation", "private", "--pid", "--fork",
                               "--kill-child", "--mount-proc", "--", sys.executable, *sys.argv],
                   {**os.environ, MARK: "yes"})
