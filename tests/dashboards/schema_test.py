#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Grafana's dashboards against the types that Grafana publishes (npm: @grafana/schema), by the compiler of
TypeScript. In the long form only (TFO_TEST_FULL=1), since both are fetched.

  schema_test.py WORK      WORK: a directory to fetch them into, which stays

Exit 77: the short form, or npm is not here.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys

from expressions import GRAFANA

PACKAGES = {"@grafana/schema": "13.2.3", "typescript": "5.9.3"}
STRICT = ("--noEmit", "--strict", "--skipLibCheck", "--moduleResolution", "bundler", "--module", "esnext", "--target",
          "es2022")
# Text has the words that enumerations stand for. A dashboard to import has no number yet; annotations and variables
# have fields of their data source, which Grafana exports so and its types leave open.
HEAD = """import type { AnnotationQuery, Dashboard, VariableModel } from '@grafana/schema';
type Plain<T> = T extends string ? `${T}` : T extends (infer U)[] ? Plain<U>[]
  : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
type Annotation = AnnotationQuery & { expr?: string; step?: string; titleFormat?: string; textFormat?: string;
  useValueForTime?: boolean };
type Variable = VariableModel & { definition?: string };
type Text = Plain<Partial<Omit<Dashboard, 'annotations' | 'id' | 'templating'>>>
  & { id: null; annotations?: { list: Plain<Annotation>[] }; templating?: { list: Plain<Variable>[] } };
"""
# What must be found, or nothing is: (text, what stands there instead).
FAULTS = (('"schemaVersion": 39', '"schemaVersion": "39"'), ('"type": "link"', '"type": "links"'),
          ('"gridPos": {', '"gridPosition": {'))


def fetch(work):
    work.mkdir(parents=True, exist_ok=True)
    (work / "package.json").write_text(json.dumps({"private": True, "dependencies": PACKAGES}))
    subprocess.run(["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"],
                   cwd=work, check=True, timeout=300)


def complaints(work, name, text):
    source = work / f"{name}.ts"
    source.write_text(f"{HEAD}export const dashboard = {text.strip()} satisfies Text;\n")
    done = subprocess.run([work / "node_modules" / ".bin" / "tsc", *STRICT, source.name], cwd=work, text=True,
                          stdout=subprocess.PIPE, check=False, timeout=300)
    return done.stdout if done.returncode else ""


def main():
    if not os.environ.get("TFO_TEST_FULL") or not shutil.which("npm"):
        print("only the long form, with npm, asks for Grafana's types")
        return 77
    work = pathlib.Path(sys.argv[1])
    fetch(work)
    wrong = 0
    files = sorted(GRAFANA.glob("*.json"))
    for file in files:
        said = complaints(work, file.stem, file.read_text())
        wrong += bool(said)
        print(f"{'FAILED' if said else 'ok    '} {file.name}\n{said[:4000]}", end="")
    for old, new in FAULTS:
        text = files[0].read_text()
        found = old in text and complaints(work, "fault", text.replace(old, new, 1))
        wrong += not found
        print(f"{'ok    ' if found else 'FAILED'} {new} is found")
    return 1 if wrong or not files else 0


if __name__ == "__main__":
    sys.exit(main())
