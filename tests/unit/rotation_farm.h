// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "loader/rotation/machine.h"

namespace tfo::rotation {

/// A document that several places hold, and what follows from it. Nothing in it expires.
struct Held {
  Document document;
  std::string hash;
  KeyRing ring;
  std::vector<uint64_t> slots;  ///< ids that servers hold, the one that they mint with first
};
using Doc = std::shared_ptr<const Held>;

/// What may happen in a walk, and how often.
struct Limits {
  int rotations = 2;
  int aborts = 0;
  int revokes = 0;
  int partitions = 0;
  int deaths = 0;  ///< of the balancer's daemon
  int days = 0;    ///< a day goes by: who is away is forgotten, rings grow stale
  int restores = 0;
  int joins = 0;      ///< 1: the third server is no member at first
  bool fine = false;  ///< read, apply and acknowledge are steps of their own; leaders act on what
                      ///< they read a while ago
  bool go_on = true;  ///< at the deadline
};

/// A rule that is left out, so that the checks can be seen to fail.
struct Mutant {
  std::function<void(FarmView&)> view = {};
  std::function<void(Decision&, const FarmView&)> decision = {};
  bool read_before_register = false;
};

struct Action {
  enum class Kind {
    kStep,
    kRead,
    kApply,
    kAck,
    kJoin,
    kLead,
    kLeadRead,
    kLeadWrite,
    kRotate,
    kAbort,
    kRevoke,
    kCut,
    kHeal,
    kKill,
    kRestart,
    kDay,
    kBackup,
    kRestore
  };
  Kind kind = Kind::kStep;
  size_t index = 0;  ///< node, leader or generation
};
std::string to_string(const Action& action);

/// Three servers with two slots each and a balancer around one etcd, with the product's Machine,
/// judge(), unite() and ring_of(). A value: copied to explore. Every change is checked against the
/// invariants; the first violation stays in `violation`.
class Farm {
 public:
  Farm(const Limits& limits, const Mutant* mutant);

  std::vector<Action> enabled() const;
  void apply(const Action& action);
  /// Faults end and everybody does its part: does the rotation finish, and another one after it?
  void finish();

  /// Equal for states that behave alike.
  std::string key() const;

  const std::string& violation() const { return violation_; }
  const Document& document() const { return ring_->document; }
  int documents() const { return static_cast<int>(written_.size()); }

 private:
  struct Node {
    std::string name;
    bool balancer = false;
    Doc persisted;
    Doc applied;
    bool open = false;        ///< serves, or validates
    bool forgotten = false;   ///< and does not know it yet
    bool cut = false;         ///< no etcd
    bool dead = false;        ///< no daemon; the data plane goes on
    bool checked = true;      ///< has read etcd since the last restore
    std::set<uint64_t> lost;  ///< revocations that etcd does not know of
    int64_t confirmed = 0;
    int64_t seen = 0;
  };
  struct Decided {
    Decision decision;
    Doc next;
  };
  struct Leader {
    std::optional<FarmView> view;
    Doc read;
  };

  void add_faults(std::vector<Action>& all) const;
  void add_node_steps(std::vector<Action>& all, size_t index) const;
  bool has_acked_current(const Node& node) const;
  void read(Node& node);
  Doc in_force(const Node& node) const;
  void revoke_again(Node& node);
  void follow(Node& node, const Doc& doc);
  void ack(Node& node);
  void step(Node& node);
  void lead_read(size_t index);
  void lead_write(size_t index);
  std::string key_of_view(const FarmView& view, size_t leader, const Doc& read) const;
  void carry_out(const Decided& decided);
  void write(const Doc& made);
  bool at_rest() const;
  void come_to_rest();
  void ask(Request request);
  void revoke(uint64_t id);
  void day();

  bool reachable(const Node& node) const { return !node.cut && !node.dead; }
  bool counts(const Node& node) const { return node.open && !node.forgotten; }
  bool fenced(const Node& node) const;
  void check();
  bool may_be_gone() const;
  void check_slots();
  void check_cookies(const Node& balancer);
  bool refusals_are_meant() const;
  void check_lost(const Node& node);
  void violated(const std::string& what);

  Limits left_;
  const Mutant* mutant_;
  Policy policy_;
  int64_t now_;
  Doc ring_;
  std::map<std::string, Member> members_;
  std::map<std::string, Ack> acks_;
  std::vector<Request> requests_;
  std::vector<Node> nodes_;
  std::vector<Leader> leaders_;
  std::optional<std::pair<Doc, std::map<std::string, Ack>>> backup_;
  bool restored_ = false;
  std::map<Counter, std::string> written_;  ///< hash of what was written under it
  Doc highest_;
  std::set<uint64_t> minted_;
  std::set<uint64_t> revoked_;
  Counter last_revoke_;
  int asked_ = 0;
  /// Shared by copies: deciding again what was decided before takes most of the time.
  std::shared_ptr<std::map<std::string, std::shared_ptr<const Decided>>> decisions_ =
      std::make_shared<std::map<std::string, std::shared_ptr<const Decided>>>();
  std::shared_ptr<std::map<std::string, Doc>> guarded_ =
      std::make_shared<std::map<std::string, Doc>>();
  std::string violation_;
};

}  // namespace tfo::rotation
