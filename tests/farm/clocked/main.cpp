// SPDX-License-Identifier: BSD-2-Clause
// tfod with a clock that a test sets: tfod_clocked CLOCKFILE --config FILE. See OffsetClock for
// what CLOCKFILE holds.
#include <cstdio>
#include <filesystem>

#include "loader/tfod.h"
#include "tests/farm/clocked/offset_clock.h"

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: tfod_clocked CLOCKFILE [tfod's arguments]\n");
    return 2;
  }
  const tfo::test::OffsetClock clock(std::filesystem::absolute(argv[1]));
  argv[1] = argv[0];
  return tfo::run_tfod(argc - 1, argv + 1, clock);
}
