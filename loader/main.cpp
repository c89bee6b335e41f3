// SPDX-License-Identifier: BSD-2-Clause
#include "loader/keys/clock.h"
#include "loader/tfod.h"

int main(int argc, char** argv) { return tfo::run_tfod(argc, argv, tfo::SystemClock()); }
