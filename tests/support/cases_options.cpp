// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include "tests/support/cases.h"

namespace tfo::test {
namespace {

constexpr auto kSeen254 = TFO_OPTION_254;

/// One SYN with these options in order, with data and without, from both families. `options` is
/// given the packet because cookies depend on its addresses.
struct Row {
  const char* name;
  Bytes (*options)(const Packet& packet);
  tfo_reason reason;
  tfo_option_kind option;
};

Cases expand(const std::vector<Row>& rows) {
  Cases cases;
  for (const Side& side : kSides) {
    for (const Row& row : rows) {
      for (size_t data : {0, 20}) {
        Packet packet = web_syn(side);
        packet.option(row.options(packet)).data(data);
        tfo_reason reason = row.reason;
        if (reason == TFO_PLAIN && data != 0) reason = TFO_DATA_NO_OPTION;
        cases.push_back({fmt::format("{} {} data {}", row.name, side.name, data), packet,
                         vip(reason, row.option, data != 0)});
      }
    }
  }
  return cases;
}

Bytes p(const Packet& packet) { return fast_open(cookie_of(kCurrentKey, packet)); }
Bytes p254(const Packet& packet) { return fast_open_experimental(cookie_of(kCurrentKey, packet)); }
Bytes b(const Packet& packet) { return fast_open(cookie_of(kPreviousKey, packet)); }
Bytes bad() { return fast_open(from_hex("0102030405060708")); }
Bytes sized(size_t bytes) { return fast_open(Bytes(bytes, 0x5a)); }
Bytes sized254(size_t bytes) { return fast_open_experimental(Bytes(bytes, 0x5a)); }

tfo_reason reason_of_length(size_t length) {
  if (length == 0) return TFO_REQUEST;
  if (length % 2 == 1 || length < 4 || length > 16) return TFO_OPTION_IGNORED;
  return length == 8 ? TFO_COOKIE_INVALID : TFO_COOKIE_LENGTH;
}

/// The right cookie's bytes, cut or lengthened.
Bytes stretched(const Packet& packet, size_t length) {
  Bytes cookie = cookie_of(kCurrentKey, packet);
  cookie.resize(length, 0x5a);
  return cookie;
}

}  // namespace

Cases length_cases() {
  Cases cases;
  for (const Side& side : kSides) {
    for (size_t length = 0; length <= 34; length++) {
      for (size_t data : {0, 20}) {
        const Packet bare = web_syn(side).data(data);
        const auto add = [&](const char* what, const Bytes& option, tfo_option_kind kind,
                             tfo_reason reason) {
          cases.push_back({fmt::format("{} length {} {} data {}", what, length, side.name, data),
                           Packet(bare).option(option), vip(reason, kind, data != 0)});
        };
        const tfo_reason wrong = reason_of_length(length);
        const tfo_reason right = length == 8 ? TFO_COOKIE_CURRENT : wrong;
        add("34 wrong bytes", fast_open(Bytes(length, 0x5a)), kSeen34, wrong);
        add("34 right bytes", fast_open(stretched(bare, length)), kSeen34, right);
        add("254 wrong bytes", fast_open_experimental(Bytes(length, 0x5a)), kSeen254, wrong);
        add("254 right bytes", fast_open_experimental(stretched(bare, length)), kSeen254, right);
      }
    }
  }
  return cases;
}

Cases duplicate_cases() {
  using P = const Packet&;
  return expand({
      {"request, P", [](P s) { return join({fast_open(), p(s)}); }, TFO_COOKIE_CURRENT, kSeen34},
      {"P, request", [](P s) { return join({p(s), fast_open()}); }, TFO_REQUEST, kSeen34},
      {"P, bad", [](P s) { return join({p(s), bad()}); }, TFO_COOKIE_INVALID, kSeen34},
      {"bad, P", [](P s) { return join({bad(), p(s)}); }, TFO_COOKIE_CURRENT, kSeen34},
      {"B, P", [](P s) { return join({b(s), p(s)}); }, TFO_COOKIE_CURRENT, kSeen34},
      {"P, B", [](P s) { return join({p(s), b(s)}); }, TFO_COOKIE_PREVIOUS, kSeen34},
      {"2 bytes, P", [](P s) { return join({sized(2), p(s)}); }, TFO_COOKIE_CURRENT, kSeen34},
      {"P, 1 byte", [](P s) { return join({p(s), sized(1)}); }, TFO_COOKIE_CURRENT, kSeen34},
      {"P, 7 bytes", [](P s) { return join({p(s), sized(7)}); }, TFO_COOKIE_CURRENT, kSeen34},
      {"P, 19 bytes", [](P s) { return join({p(s), sized(19)}); }, TFO_COOKIE_CURRENT, kSeen34},
      {"P, 2 bytes", [](P s) { return join({p(s), sized(2)}); }, TFO_OPTION_IGNORED, kSeen34},
      {"P, 18 bytes", [](P s) { return join({p(s), sized(18)}); }, TFO_OPTION_IGNORED, kSeen34},
      {"P, 6 bytes", [](P s) { return join({p(s), sized(6)}); }, TFO_COOKIE_LENGTH, kSeen34},
      {"6 bytes, P", [](P s) { return join({sized(6), p(s)}); }, TFO_COOKIE_CURRENT, kSeen34},
      {"request, 3 bytes", [](P) { return join({fast_open(), sized(3)}); }, TFO_REQUEST, kSeen34},
      {"request, 2 bytes", [](P) { return join({fast_open(), sized(2)}); }, TFO_OPTION_IGNORED,
       kSeen34},
      {"P, 2 bytes, request", [](P s) { return join({p(s), sized(2), fast_open()}); }, TFO_REQUEST,
       kSeen34},
      {"P(34), P(254)", [](P s) { return join({p(s), p254(s)}); }, TFO_COOKIE_CURRENT, kSeen254},
      {"P(254), P(34)", [](P s) { return join({p254(s), p(s)}); }, TFO_COOKIE_CURRENT, kSeen34},
      {"P(34), request(254)", [](P s) { return join({p(s), fast_open_experimental()}); },
       TFO_REQUEST, kSeen254},
      {"request(34), request(254)", [](P) { return join({fast_open(), fast_open_experimental()}); },
       TFO_REQUEST, kSeen254},
      {"request(254), P(34)", [](P s) { return join({fast_open_experimental(), p(s)}); },
       TFO_COOKIE_CURRENT, kSeen34},
      // The kind last seen need not be the kind of the option that counts.
      {"P(34), 1 byte (254)", [](P s) { return join({p(s), sized254(1)}); }, TFO_COOKIE_CURRENT,
       kSeen254},
      {"P(254), 1 byte (34)", [](P s) { return join({p254(s), sized(1)}); }, TFO_COOKIE_CURRENT,
       kSeen34},
      {"bad(34), 5 bytes (254)", [](P) { return join({bad(), sized254(5)}); }, TFO_COOKIE_INVALID,
       kSeen254},
      {"request(254), 1 byte (34)", [](P) { return join({fast_open_experimental(), sized(1)}); },
       TFO_REQUEST, kSeen34},
      {"P(34), 2 bytes (254)", [](P s) { return join({p(s), sized254(2)}); }, TFO_OPTION_IGNORED,
       kSeen254},
      {"P(254), 2 bytes (34)", [](P s) { return join({p254(s), sized(2)}); }, TFO_OPTION_IGNORED,
       kSeen34},
      {"1 byte (254), 3 bytes (34)", [](P) { return join({sized254(1), sized(3)}); },
       TFO_OPTION_IGNORED, kSeen34},
      {"P, foreign magic", [](P s) { return join({p(s), tcp_option(254, Bytes{0xf9, 0x88, 1})}); },
       TFO_COOKIE_CURRENT, kSeen34},
      {"P three times", [](P s) { return join({p(s), p(s), p(s)}); }, TFO_COOKIE_CURRENT, kSeen34},
  });
}

namespace {

Bytes linux_options() {
  return join({tcp_option(2, Bytes{0x05, 0xb4}), tcp_option(4, Bytes{}),
               tcp_option(8, Bytes{0, 1, 2, 3, 0, 0, 0, 0}), Bytes{1}, tcp_option(3, Bytes{7})});
}

std::vector<Row> places_of_the_option() {
  using P = const Packet&;
  static const Bytes kNop{1};
  return {
      {"no option", [](P) { return Bytes{}; }, TFO_PLAIN, TFO_OPTION_NONE},
      {"as Linux writes no Fast Open", [](P) { return linux_options(); }, TFO_PLAIN,
       TFO_OPTION_NONE},
      {"as Linux writes a request",
       [](P) { return join({linux_options(), fast_open(), kNop, kNop}); }, TFO_REQUEST, kSeen34},
      {"as Linux writes a cookie", [](P s) { return join({linux_options(), p(s), kNop, kNop}); },
       TFO_COOKIE_CURRENT, kSeen34},
      {"as Linux writes a cookie, two bad bytes after it",
       [](P s) { return join({linux_options(), p(s), Bytes{34, 2}}); }, TFO_REQUEST, kSeen34},
      {"as Linux writes an experimental cookie",
       [](P s) { return join({linux_options(), p254(s)}); }, TFO_COOKIE_CURRENT, kSeen254},
      {"as Linux, then a request that ends the header",
       [](P) { return join({linux_options(), kNop, kNop, fast_open()}); }, TFO_REQUEST, kSeen34},
      {"as Linux, then EOL and a request",
       [](P) { return join({linux_options(), Bytes{0, 0}, fast_open()}); }, TFO_PLAIN,
       TFO_OPTION_NONE},
      {"one NOP before P", [](P s) { return join({kNop, p(s)}); }, TFO_COOKIE_CURRENT, kSeen34},
      {"three NOPs before P(254)", [](P s) { return join({kNop, kNop, kNop, p254(s)}); },
       TFO_COOKIE_CURRENT, kSeen254},
      {"P ends the header", [](P s) { return join({kNop, kNop, p(s)}); }, TFO_COOKIE_CURRENT,
       kSeen34},
      {"P ends 40 bytes of options", [](P s) { return join({Bytes(30, 1), p(s)}); },
       TFO_COOKIE_CURRENT, kSeen34},
      {"40 NOPs", [](P) { return Bytes(40, 1); }, TFO_PLAIN, TFO_OPTION_NONE},
      {"20 requests",
       [](P) {
         Bytes all;
         for (int i = 0; i < 20; i++) all = join({all, fast_open()});
         return all;
       },
       TFO_REQUEST, kSeen34},
      {"P before MSS", [](P s) { return join({p(s), tcp_option(2, Bytes{5, 0xb4})}); },
       TFO_COOKIE_CURRENT, kSeen34},
      {"P inside another option's body", [](P s) { return tcp_option(99, join({Bytes{1}, p(s)})); },
       TFO_PLAIN, TFO_OPTION_NONE},
  };
}

std::vector<Row> broken_options() {
  using P = const Packet&;
  static const Bytes kEol{0};
  return {
      {"EOL before P", [](P s) { return join({kEol, p(s)}); }, TFO_PLAIN, TFO_OPTION_NONE},
      {"P, EOL, bad", [](P s) { return join({p(s), kEol, bad()}); }, TFO_COOKIE_CURRENT, kSeen34},
      {"99 of length 0 before P", [](P s) { return join({Bytes{99, 0}, p(s)}); }, TFO_PLAIN,
       TFO_OPTION_NONE},
      {"99 of length 1 before P", [](P s) { return join({Bytes{99, 1}, p(s)}); }, TFO_PLAIN,
       TFO_OPTION_NONE},
      {"99 overruns before P", [](P s) { return join({Bytes{99, 40}, p(s)}); }, TFO_PLAIN,
       TFO_OPTION_NONE},
      {"P, 99 overruns", [](P s) { return join({p(s), Bytes{99, 40}}); }, TFO_COOKIE_CURRENT,
       kSeen34},
      {"P, 99 of length 0", [](P s) { return join({p(s), Bytes{99, 0}}); }, TFO_COOKIE_CURRENT,
       kSeen34},
      {"P, 34 of length 1", [](P s) { return join({p(s), Bytes{34, 1}}); }, TFO_COOKIE_CURRENT,
       kSeen34},
      {"P, 34 overruns", [](P s) { return join({p(s), Bytes{34, 10}}); }, TFO_COOKIE_CURRENT,
       kSeen34},
      {"34 overruns by one",
       [](P s) { return tcp_option_lie(34, 13, join({cookie_of(kCurrentKey, s), Bytes{1, 1}})); },
       TFO_PLAIN, TFO_OPTION_NONE},
      {"34 overruns by 200",
       [](P s) { return tcp_option_lie(34, 212, join({cookie_of(kCurrentKey, s), Bytes{1, 1}})); },
       TFO_PLAIN, TFO_OPTION_NONE},
      {"34 of length 0", [](P) { return Bytes{34, 0, 1, 1}; }, TFO_PLAIN, TFO_OPTION_NONE},
      {"34 of length 1", [](P) { return Bytes{34, 1, 1, 1}; }, TFO_PLAIN, TFO_OPTION_NONE},
      {"34 as the last byte", [](P) { return Bytes{1, 1, 1, 34}; }, TFO_PLAIN, TFO_OPTION_NONE},
      {"254 as the last byte", [](P) { return Bytes{1, 1, 1, 254}; }, TFO_PLAIN, TFO_OPTION_NONE},
      {"254 of length 2", [](P) { return Bytes{254, 2, 0xf9, 0x89}; }, TFO_PLAIN, TFO_OPTION_NONE},
      {"254 of length 3", [](P) { return Bytes{254, 3, 0xf9, 0x89}; }, TFO_PLAIN, TFO_OPTION_NONE},
      {"254 of length 3 ends the header", [](P) { return Bytes{1, 254, 3, 0xf9}; }, TFO_PLAIN,
       TFO_OPTION_NONE},
      {"254 with another magic",
       [](P) { return tcp_option(254, from_hex("f98a5a5a5a5a5a5a5a5a")); }, TFO_PLAIN,
       TFO_OPTION_NONE},
      {"254 with the magic swapped",
       [](P) { return tcp_option(254, from_hex("89f95a5a5a5a5a5a5a5a")); }, TFO_PLAIN,
       TFO_OPTION_NONE},
      {"253 with the magic", [](P) { return tcp_option(253, from_hex("f9895a5a5a5a5a5a5a5a")); },
       TFO_PLAIN, TFO_OPTION_NONE},
      {"254 overruns by one", [](P) { return Bytes{254, 5, 0xf9, 0x89}; }, TFO_PLAIN,
       TFO_OPTION_NONE},
      {"254 request ends the header", [](P) { return Bytes{254, 4, 0xf9, 0x89}; }, TFO_REQUEST,
       kSeen254},
  };
}

/// What stands after the header is no option, however much it looks like one.
void add_payload_cases(Cases& cases, const Side& side) {
  const Packet syn = web_syn(side);
  const Bytes cookie = p(syn);
  const auto add = [&](const char* name, const Packet& packet, const Verdict& want) {
    cases.push_back({fmt::format("{} {}", name, side.name), packet, want});
  };
  add("P in the data, no options", Packet(syn).data(cookie), vip(TFO_DATA_NO_OPTION, {}, true));
  add("P in the data, options before it", Packet(syn).option(linux_options()).data(cookie),
      vip(TFO_DATA_NO_OPTION, {}, true));
  add("request in the data after P",
      Packet(syn).option(Bytes{1, 1}).option(cookie).data(fast_open()),
      vip(TFO_COOKIE_CURRENT, kSeen34, true));
  add("34 overruns into the data",
      Packet(syn).option(Bytes{1, 1, 34, 10}).data(cookie_of(kCurrentKey, syn)),
      vip(TFO_DATA_NO_OPTION, {}, true));
  add("34 overruns into the data by two",
      Packet(syn).option(View(cookie).first(8)).data(join({View(cookie).subspan(8), pattern(9)})),
      vip(TFO_DATA_NO_OPTION, {}, true));
  add("P in the Ethernet padding", Packet(syn).trailer(cookie), vip(TFO_PLAIN));
  add("34 overruns into the padding",
      Packet(syn).option(Bytes{1, 1, 34, 10}).trailer(cookie_of(kCurrentKey, syn)), vip(TFO_PLAIN));
}

}  // namespace

Cases malformed_cases() {
  Cases cases = expand(places_of_the_option());
  for (const Case& c : expand(broken_options())) cases.push_back(c);
  for (const Side& side : kSides) add_payload_cases(cases, side);
  return cases;
}

}  // namespace tfo::test
