#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""compile_commands.json with an entry for each source, on standard output: where several are compiled together
(TFO_UNITY), each of them with the command of all.

  database.py [--no-pch] COMPILE_COMMANDS
"""
import json
import re
import sys

INCLUDED = re.compile(r'^#include "(.*)"$', re.MULTILINE)
PCH = re.compile(r" -Winvalid-pch| -Xclang -include(?:-pch)? -Xclang \S+")


def sources_of(entry):
    if "/Unity/" not in entry["file"]:
        return [entry["file"]]
    with open(entry["file"], encoding="utf-8") as unit:
        return INCLUDED.findall(unit.read())


def main():
    entries = []
    with open(sys.argv[-1], encoding="utf-8") as file:
        for entry in json.load(file):
            command = PCH.sub("", entry["command"]) if "--no-pch" in sys.argv else entry["command"]
            for source in sources_of(entry):
                entries.append({"directory": entry["directory"], "file": source,
                                "command": command.replace(f" -c {entry['file']}", f" -Wshadow -c {source}")})
    json.dump(entries, sys.stdout, indent=0)


if __name__ == "__main__":
    main()
