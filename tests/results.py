#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Turns what the test tools leave behind into result lines, and result lines into totals.

A result line is STATUS<TAB>TIER<TAB>NAME<TAB>DETAIL with STATUS passed, failed or skipped.

  results.py junit TIER FILE              ctest's JUnit file -> result lines
  results.py console TIER PREFIX FILE     a serial console on which gtest ran -> result lines
  results.py check ALLOW FILE...          result lines -> totals; a skip that ALLOW does not list fails
"""

import collections
import fnmatch
import re
import sys
import xml.etree.ElementTree as ElementTree

Result = collections.namedtuple("Result", "status tier name detail")


def one_line(text):
    return " ".join(text.split())


def skip_reason(output):
    """The text given to GTEST_SKIP(): the line after "file:line: Skipped"."""
    match = re.search(r": Skipped\n(.*)", output)
    return one_line(match.group(1)) if match else ""


def from_junit(tier, path):
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        # A parameter without a name of its own is printed as bytes, addresses among them.
        name = case.get("name").split("  # GetParam() = ")[0]
        status = case.get("status")
        output = case.findtext("system-out") or ""
        skipped = case.find("skipped")
        if case.find("failure") is not None or status == "fail":
            yield Result("failed", tier, name, "")
        elif status == "run":
            yield Result("passed", tier, name, "")
        elif skipped is not None and "SKIP" in skipped.get("message", ""):
            yield Result("skipped", tier, name, skip_reason(output))
        elif status == "disabled":
            yield Result("skipped", tier, name, "disabled in the source")
        else:
            detail = skipped.get("message", "") if skipped is not None else ""
            yield Result("failed", tier, name, f"did not run: {one_line(detail)}")


def from_console(tier, prefix, path):
    """Every case that started must end: a crash or a power-off in the middle is its failure.
    The line "@@ exit N" is the test program's exit status, which a fault after the last case shows in."""
    started, ended, announced, skips, exit_status = [], {}, None, {}, None
    previous = ""
    with open(path, encoding="utf-8", errors="replace") as console:
        for line in (raw.rstrip("\r\n") for raw in console):
            if match := re.search(r"\[==========\] Running (\d+) tests?", line):
                announced = (announced or 0) + int(match.group(1))
            elif match := re.search(r"\[ RUN      \] (\S+)", line):
                started.append(match.group(1))
            elif match := re.search(r"\[  (     OK|FAILED |SKIPPED) \] (\S+?)(?:,.*)? \(\d+ ms\)", line):
                status = {"OK": "passed", "FAILED": "failed", "SKIPPED": "skipped"}[match.group(1).strip()]
                ended[match.group(2)] = status
                skips[match.group(2)] = previous
            elif match := re.match(r"@@ exit (\d+)", line):
                exit_status = int(match.group(1))
            previous = line
    for name in started:
        status = ended.get(name, "failed")
        detail = "" if name in ended else "did not end: see the console"
        yield Result(status, tier, prefix + name, skips[name] if status == "skipped" else detail)
    if announced is None or announced != len(started):
        detail = f"{len(started)} of {announced if announced is not None else 'an unknown number of'} cases ran"
        yield Result("failed", tier, prefix + "all-cases-ran", detail)
    elif exit_status is None or (exit_status != 0 and "failed" not in ended.values()):
        yield Result("failed", tier, prefix + "exit-status", f"exit status {exit_status}, though no case failed")


def allowed_skips(path):
    """Lines "TIER NAME-PATTERN REASON"; the patterns are those of a shell."""
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            fields = line.split("#", 1)[0].split(None, 2)
            if not fields:
                continue
            if len(fields) < 3:
                sys.exit(f"{path}: a line needs a tier, a name pattern and a reason: {line.strip()}")
            yield fields


def check(allow_path, paths):
    allowed = list(allowed_skips(allow_path))
    counts = collections.Counter()
    for path in paths:
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                result = Result(*line.rstrip("\n").split("\t"))
                status = result.status
                if status == "skipped" and not any(
                        fnmatch.fnmatchcase(result.tier, tier) and fnmatch.fnmatchcase(result.name, name)
                        for tier, name, _ in allowed):
                    print(f"FAILED  {result.tier}: {result.name}: skipped, but {allow_path} does not list it"
                          f" ({result.detail or 'no reason given'})")
                    status = "failed"
                elif status == "failed":
                    print(f"FAILED  {result.tier}: {result.name}" + (f": {result.detail}" if result.detail else ""))
                elif status == "skipped":
                    print(f"skipped {result.tier}: {result.name}" + (f": {result.detail}" if result.detail else ""))
                counts[status] += 1
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] or not counts["passed"] else 0


def emit(results):
    for result in results:
        print("\t".join(result))


def main(arguments):
    match arguments:
        case ["junit", tier, path]:
            emit(from_junit(tier, path))
        case ["console", tier, prefix, path]:
            emit(from_console(tier, prefix, path))
        case ["check", allow, *paths] if paths:
            return check(allow, paths)
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
