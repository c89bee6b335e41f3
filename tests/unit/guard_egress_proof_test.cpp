// SPDX-License-Identifier: BSD-2-Clause
// When the guard believes that the servers' SYN-ACKs leave through this node.
#include <gtest/gtest.h>

#include "loader/guard/egress_proof.h"

namespace tfo {
namespace {

TEST(EgressProof, OneSynAckArms) {
  EgressProof proof(false, 7, 1000, 50);
  proof.look(7, 1000, 51);
  EXPECT_FALSE(proof.armed()) << "those before the start prove nothing";
  EXPECT_FALSE(proof.blind());
  proof.look(8, 1001, 52);
  EXPECT_TRUE(proof.armed());
  EXPECT_FALSE(proof.blind());
}

TEST(EgressProof, ManyHandshakesWithoutAnyDisarm) {
  EgressProof proof(true, 7, 1000, 50);
  proof.look(7, 1019, 50 + 10 * EgressProof::kWhile);
  EXPECT_TRUE(proof.armed()) << "too few";
  EXPECT_FALSE(proof.blind());
  proof.look(7, 1020, 51 + 10 * EgressProof::kWhile);
  EXPECT_FALSE(proof.armed());
  EXPECT_TRUE(proof.blind());
  EXPECT_EQ(proof.unanswered(), 20U);
  proof.look(8, 1021, 52 + 10 * EgressProof::kWhile);
  EXPECT_TRUE(proof.armed()) << "they are back";
  EXPECT_FALSE(proof.blind());
  EXPECT_EQ(proof.unanswered(), 0U);
}

TEST(EgressProof, ARestIsNoSilence) {
  EgressProof proof(true, 7, 1000, 50);
  proof.look(7, 1000, 4000);
  proof.look(7, 1500, 4001);
  EXPECT_TRUE(proof.armed()) << "their SYN-ACKs may be under way";
  proof.look(7, 1500, 4000 + EgressProof::kWhile - 1);
  EXPECT_TRUE(proof.armed());
  proof.look(7, 1500, 4000 + EgressProof::kWhile);
  EXPECT_FALSE(proof.armed());
}

TEST(EgressProof, NeverArmedItIsBlindAllTheSame) {
  EgressProof proof(false, 0, 0, 50);
  proof.look(0, 10, 51);
  proof.look(0, 20, 51 + EgressProof::kWhile);
  EXPECT_TRUE(proof.blind());
}

TEST(EgressProof, BearsCountersThatWrapAndOtherMaps) {
  EgressProof proof(true, 7, UINT32_MAX - 4, 50);
  proof.look(7, 4, 51);
  EXPECT_EQ(proof.unanswered(), 9U);
  proof.look(2, 3, 52 + EgressProof::kWhile);
  EXPECT_EQ(proof.unanswered(), 0U) << "begun anew";
  EXPECT_TRUE(proof.armed());
  proof.look(2, 22, 53 + 2 * EgressProof::kWhile);
  EXPECT_TRUE(proof.armed()) << "19 since";
}

}  // namespace
}  // namespace tfo
