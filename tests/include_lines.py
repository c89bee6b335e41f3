#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Names the files that use a header of the precompiled ones without including it.

  include_lines.py CMAKELISTS FILE...    FILE: paths from the top of the tree, where it must run

A compiler that is given precompiled headers does not notice. An include line counts for a file if it
stands there or in a header of ours that the file includes. Exit 1 if anything is missing.
"""

import functools
import re
import sys
from pathlib import Path

ALGORITHMS = (
    "adjacent_find all_of any_of binary_search copy_if copy_n count_if equal_range fill_n find_if find_if_not"
    " for_each generate includes is_sorted lower_bound max_element min_element minmax_element mismatch none_of"
    " nth_element partition remove_if replace reverse rotate search set_difference set_intersection shuffle sort"
    " stable_sort transform unique upper_bound"
)

# What of a header is looked for; a header that is precompiled and not here is a mistake.
USES = {
    "algorithm": r"std::(?:ranges::)?(?:%s)\(" % ALGORITHMS.replace(" ", "|"),
    "array": r"std::(?:array<|to_array)",
    "chrono": r"std::chrono::",
    "cstdint": r"\bu?int(?:8|16|32|64)_t\b",
    "cstring": r"std::(?:mem(?:cpy|cmp|set|move|chr)|str(?:len|cmp|ncmp|error|chr|rchr))\(",
    "filesystem": r"std::filesystem::",
    "fstream": r"std::[io]?fstream\b",
    "functional": r"std::(?:function<|hash<|bind|ref\(|cref\(|invoke\()",
    "map": r"std::(?:multi)?map<",
    "memory": r"std::(?:unique_ptr|shared_ptr|weak_ptr|make_unique|make_shared|enable_shared_from_this)\b",
    "optional": r"std::(?:optional<|nullopt|make_optional)",
    "set": r"std::(?:multi)?set<",
    "span": r"std::(?:span<|as_bytes|as_writable_bytes)",
    "string": r"std::(?:string\b|to_string|stoi|getline)",
    "string_view": r"std::string_view\b",
    "utility": r"std::(?:exchange|pair<|move\(|swap\()",
    "vector": r"std::vector<",
    "fmt/format.h": r"\bfmt::(?:format|format_to|join|runtime|print)\b",
    "nlohmann/json.hpp": r"\bnlohmann::(?:ordered_)?json\b",
    "tl/expected.hpp": r"\btl::(?:un)?expected\b",
    "gmock/gmock.h": r"\b(?:testing::(?:HasSubstr|ElementsAre|Contains|Not|AllOf|Each)|EXPECT_THAT|ASSERT_THAT)\b",
    "gtest/gtest.h": r"^(?:TEST|TEST_F|TEST_P)\(|\btesting::Test\b|\b(?:EXPECT|ASSERT)_(?:EQ|TRUE|FALSE)\(",
}
# Headers that promise what another one has.
PROMISES = {
    "string": {"string_view"},
    "gmock/gmock.h": {"gtest/gtest.h"},
}


@functools.cache
def text_of(path):
    return re.sub(r"//.*", "", Path(path).read_text(encoding="utf-8"))


@functools.cache
def included(path):
    """The angle bracket names that `path` gets, from itself and from our headers."""
    seen, todo, names = set(), [path], set()
    while todo:
        file = todo.pop()
        if file in seen or not Path(file).is_file():
            continue
        seen.add(file)
        names.update(re.findall(r"^ *# *include <([^>]+)>", text_of(file), re.M))
        todo += re.findall(r'^ *# *include "([^"]+)"', text_of(file), re.M)
    if path.endswith(".h") and "nlohmann/json_fwd.hpp" in names:  # enough to declare with
        names.add("nlohmann/json.hpp")
    return names.union(*(PROMISES.get(name, ()) for name in names))


def precompiled(cmakelists):
    text = Path(cmakelists).read_text(encoding="utf-8")
    lists = re.findall(r"^set\(tfo_\w*pch ([^)]*)\)", text, re.M)
    return {name for part in lists for name in re.findall(r"<([^>]+)>", part)}


def main():
    cmakelists, files = sys.argv[1], sys.argv[2:]
    headers = precompiled(cmakelists)
    found = [f"{cmakelists}: <{name}> is precompiled, and tests/include_lines.py does not know it"
             for name in sorted(headers - USES.keys())]
    if not headers:
        found.append(f"{cmakelists}: no list of precompiled headers")
    for file in files:
        for name in sorted((headers & USES.keys()) - included(file)):
            use = re.search(USES[name], text_of(file), re.M)
            if use:
                line = text_of(file).count("\n", 0, use.start()) + 1
                found.append(f"{file}:{line}: {use.group(0).rstrip('<(')} needs #include <{name}>")
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
