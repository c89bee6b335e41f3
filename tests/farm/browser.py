# SPDX-License-Identifier: BSD-2-Clause
"""Debian's Chromium without a window, in a network namespace, steered through ChromeDriver (W3C WebDriver
over HTTP, and what Chromium adds to it)."""
import base64
import contextlib
import ctypes
import http.client
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

DEADLINE = 30
# Without these, Chromium asks hosts of its maker for this and that.
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars",
         "--force-color-profile=srgb")
CLONE_NEWNET = 0x40000000


class Failed(Exception):
    """The test cannot go on."""


@contextlib.contextmanager
def inside(netns):
    """Sockets that this thread makes meanwhile are of that network namespace (a path)."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(netns, os.O_RDONLY)
    try:
        if libc.setns(there, CLONE_NEWNET) != 0:
            raise Failed(f"{netns}: {os.strerror(ctypes.get_errno())}")
        try:
            yield
        finally:
            libc.setns(home, CLONE_NEWNET)
    finally:
        os.close(there)
        os.close(home)


def missing():
    """What is not installed, or nothing."""
    return next((name for name in ("chromium", "chromedriver") if shutil.which(name) is None), None)


class Browser:
    """One window. Everything that it asked for and complained of is kept."""

    def __init__(self, netns):
        self.netns = netns
        self.asked, self.complaints = [], []
        self.stack = contextlib.ExitStack()
        with contextlib.ExitStack() as stack:
            self.directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tfo-browser-")))
            self.driver = self.start_driver(stack)
            capabilities = {"alwaysMatch": {
                "browserName": "chrome",
                "goog:chromeOptions": {"binary": shutil.which("chromium"),
                                       "args": [*FLAGS, f"--user-data-dir={self.directory}/profile"]},
                "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}}
            self.session = self.call("POST", "/session", {"capabilities": capabilities})["sessionId"]
            stack.callback(self.call, "DELETE", f"/session/{self.session}")
            self.stack = stack.pop_all()

    def start_driver(self, stack):
        log = self.directory / "driver.log"
        with open(log, "wb") as out:
            driver = subprocess.Popen(["nsenter", f"--net={self.netns}", "--", "chromedriver", "--port=0"],
                                      stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                      env=os.environ | {"HOME": str(self.directory)})
        stack.callback(driver.wait)
        stack.callback(driver.terminate)
        end = time.monotonic() + DEADLINE
        while "on port " not in (said := log.read_text(errors="replace")).rpartition("success")[0]:
            if driver.poll() is not None or time.monotonic() > end:
                raise Failed(f"chromedriver does not start: {said}")
            time.sleep(0.02)
        self.port = int(said.rpartition("on port ")[2].split(".")[0].split()[0])
        return driver

    def call(self, method, path, body=None):
        with inside(self.netns):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
            connection.connect()
        with contextlib.closing(connection):
            text = None if body is None and method != "POST" else json.dumps(body or {})
            connection.request(method, path, text, {"Content-Type": "application/json"})
            value = json.loads(connection.getresponse().read())["value"]
        if isinstance(value, dict) and "error" in value:
            raise Failed(f"{path}: {value['error']}: {value['message']}")
        return value

    def command(self, path, body=None):
        return self.call("POST", f"/session/{self.session}{path}", body)

    def devtools(self, name, **parameters):
        return self.command("/goog/cdp/execute", {"cmd": name, "params": parameters})

    def open(self, url):
        self.command("/url", {"url": url})

    def script(self, text, *arguments):
        return self.command("/execute/sync", {"script": text, "args": list(arguments)})

    def wait(self, what, script, *arguments, seconds=DEADLINE):
        """Until the script returns something true; that."""
        end = time.monotonic() + seconds
        while not (value := self.script(script, *arguments)):
            if time.monotonic() > end:
                raise Failed(f"gave up waiting for {what}; the page says:\n{self.text()[:3000]}")
            time.sleep(0.05)
        return value

    def text(self, selector="body"):
        return self.script("return document.querySelector(arguments[0])?.innerText ?? ''", selector)

    def press(self, key):
        """A key on the keyboard, to what has the focus."""
        self.command("/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": [
            {"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]}]})

    def look(self, width, dark):
        """How wide the screen is and what the user prefers."""
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)
        self.devtools("Emulation.setEmulatedMedia",
                      features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def screenshot(self, file):
        """The whole page, not only what a screen shows of it."""
        height = self.script("return document.documentElement.scrollHeight")
        width = self.script("return document.documentElement.clientWidth")
        shot = self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=True,
                             clip={"x": 0, "y": 0, "width": width, "height": height, "scale": 1})
        pathlib.Path(file).write_bytes(base64.b64decode(shot["data"]))

    def drain(self):
        """Reads what came since the last time into `asked` (addresses) and `complaints`."""
        for entry in self.command("/se/log", {"type": "performance"}):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self.asked.append(message["params"]["request"]["url"])
        for entry in self.command("/se/log", {"type": "browser"}):
            if entry["level"] in ("SEVERE", "WARNING"):
                self.complaints.append(entry["message"])

    def close(self):
        self.stack.close()
