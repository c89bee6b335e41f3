// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "loader/observe/reason_table.h"
#include "tools/explain_report.h"
#include "tools/text_table.h"

namespace tfo {

namespace {

constexpr size_t kWidth = 100;
constexpr size_t kIndent = 9;        // the labels' column
constexpr size_t kHexWidth = 38;     // a cookie of 16 bytes with what stands before it
constexpr size_t kAnswerHang = 10;   // "counters  "
constexpr const char* kMark = ">>";  // the option that counts

/// Labelled paragraphs, broken at blanks.
class Sheet {
 public:
  explicit Sheet(std::ostream& out) : out_(&out) {}

  /// Begins a part; what follows stands beside its label.
  void part(const char* label) { label_ = label; }

  /// One paragraph. Lines after its first are indented by `hang` more.
  void add(const std::string& text, size_t hang = 0) {
    const std::string clean = printable(text);
    const size_t width = kWidth - kIndent;
    for (size_t at = 0; at < clean.size();) {
      const size_t room = at == 0 ? width : width - hang;
      size_t length = std::min(room, clean.size() - at);
      if (at + length < clean.size()) {
        const size_t blank = clean.rfind(' ', at + length);
        if (blank != std::string::npos && blank > at) length = blank - at;
      }
      line(std::string(at == 0 ? 0 : hang, ' ') + clean.substr(at, length));
      at += length;
      while (at < clean.size() && clean[at] == ' ') at++;
    }
  }

  /// One line as it stands.
  void line(const std::string& text) {
    *out_ << fmt::format("{:<{}}{}\n", label_, kIndent, text);
    label_ = "";
  }
  void gap() { *out_ << '\n'; }

 private:
  std::ostream* out_;
  const char* label_ = "";
};

std::string bytes_text(uint64_t count) {
  return fmt::format("{} byte{}", count, count == 1 ? "" : "s");
}

/// Kind and length apart from the rest, as people read them: "22 0a c733c9377af1c52f".
std::string option_hex(std::span<const uint8_t> bytes, bool experimental) {
  std::string text;
  for (size_t i = 0; i < bytes.size(); i++) {
    const bool apart = i == 1 || i == 2 || (i == 4 && experimental);
    text += fmt::format("{}{:02x}", apart ? " " : "", bytes[i]);
  }
  return text;
}

void print_frame(Sheet& sheet, const ExplainedPacket& packet) {
  const CapturedFrame& captured = packet.input.captured();
  std::string text;
  if (packet.input.from_file()) {
    text = fmt::format("{} of {}{}, ", captured.number, packet.input.file(),
                       captured.time_ns == 0 ? "" : ", " + stamp_text(captured.time_ns));
  }
  text += bytes_text(captured.wire_length);
  if (captured.bytes.size() < captured.wire_length) {
    text += fmt::format(", {} of them captured", captured.bytes.size());
  }
  text += ", " + LinkShaper::name(packet.input.link_type());
  for (const TagHeader& tag : packet.explanation.headers.tags) {
    text +=
        fmt::format(", {} tag: VLAN {}", tag.protocol == 0x8100 ? "802.1Q" : "802.1ad", tag.vlan);
  }
  sheet.part("frame");
  sheet.add(text);
}

void print_extensions(Sheet& sheet, const ExplainedPacket& packet, const IpHeader& ip) {
  for (const ExtensionHeader& extension : ip.extensions) {
    sheet.add(fmt::format("{} at byte {}, {}", protocol_name(extension.kind),
                          packet.place(extension.offset), bytes_text(extension.length)));
  }
  if (ip.fragment) {
    sheet.add(fmt::format("a fragment: from byte {} of its packet on, {}", ip.fragment_offset,
                          ip.more_fragments ? "more follow" : "the last one"));
  }
}

void print_ip(Sheet& sheet, const ExplainedPacket& packet, const IpHeader& ip, bool outermost) {
  const uint32_t frame_end = packet.input.ethernet().wire_length;
  sheet.part("ip");
  sheet.add(fmt::format("IPv{} {} -> {}", ip.family, ip.source, ip.destination));
  std::string text =
      fmt::format("header of {} at byte {}, the packet ends at byte {}", bytes_text(ip.length),
                  packet.place(ip.offset), packet.place(ip.end));
  if (outermost && ip.end < frame_end) {
    text += fmt::format("; {} of padding behind it", bytes_text(frame_end - ip.end));
  }
  sheet.add(text);
  print_extensions(sheet, packet, ip);
}

void print_tunnel(Sheet& sheet, const ExplainedPacket& packet) {
  const Headers& headers = packet.explanation.headers;
  sheet.part("tunnel");
  if (!headers.gue) return sheet.add("IP in IP");
  sheet.add(fmt::format("GUE, variant {}, UDP port {}; {} at byte {}, UDP header included",
                        headers.gue->variant, headers.gue->port, bytes_text(headers.gue->length),
                        packet.place(headers.gue->offset)));
}

void print_tcp(Sheet& sheet, const ExplainedPacket& packet) {
  const Headers& headers = packet.explanation.headers;
  if (!headers.tcp) return;
  const TcpHeader& tcp = *headers.tcp;
  sheet.part("tcp");
  sheet.add(fmt::format("port {} -> {}, flags {}, sequence number {}", tcp.source_port,
                        tcp.destination_port, flag_names(tcp.flags), tcp.sequence));
  std::string text = fmt::format("header of {} at byte {}, {} of data", bytes_text(tcp.length),
                                 packet.place(tcp.offset), bytes_text(tcp.data));
  if (headers.packet.first_fragment != 0) text += " in this fragment";
  sheet.add(text);
}

void print_headers(Sheet& sheet, const ExplainedPacket& packet) {
  const Headers& headers = packet.explanation.headers;
  for (size_t i = 0; i < headers.ip.size(); i++) {
    if (i > 0) print_tunnel(sheet, packet);
    print_ip(sheet, packet, headers.ip[i], i == 0);
  }
  print_tcp(sheet, packet);
}

void print_vip(Sheet& sheet, const ExplainedPacket& packet) {
  if (!packet.explanation.is_syn()) return;
  sheet.part("vip");
  if (!packet.explanation.has_vip()) {
    sheet.add("none; what follows is not looked at");
  } else if (packet.every_vip) {
    sheet.add("there is no configuration: every destination counts as one");
  } else {
    sheet.add(fmt::format("{}, keys of pool {}", packet.vip, packet.pool));
  }
}

/// What becomes of an option, in words.
std::string option_text(const ExplainedPacket& packet, size_t index) {
  const OptionWalk& walk = packet.explanation.options;
  const TcpOption& option = walk.options[index];
  std::string text = option_name(option);
  if (walk.effective == index) return text + ": this one counts";
  if (option.undone_by) {
    const TcpOption& later = walk.options[*option.undone_by];
    return text + fmt::format(": {} by the one at byte {}",
                              later.effect == OptionEffect::kIllegal ? "erased" : "replaced",
                              packet.place(packet.options_at() + later.offset));
  }
  switch (option.effect) {
    case OptionEffect::kOdd:
      return text + ": ignored, the number is odd";
    case OptionEffect::kIllegal:
      return text + ": illegal, erases what came before";
    case OptionEffect::kNoLength:
      return text + " in the last byte, without a length: broken off here";
    case OptionEffect::kTooShort:
      return text + fmt::format(" of length {}, below 2: broken off here", option.length);
    case OptionEffect::kOverrun:
      return text + fmt::format(" of length {}, {} beyond the header: broken off here",
                                option.length, bytes_text(option.length - option.bytes.size()));
    default:
      return text;
  }
}

void print_option(Sheet& sheet, uint32_t place, const std::string& hex, size_t width,
                  const std::string& text, bool marked) {
  constexpr size_t kLead = 9;  // mark and place
  std::string lead = fmt::format("{:<2}{:>5}  ", marked ? kMark : "", place);
  std::string rest = hex;
  for (; rest.size() > width; rest = rest.substr(width)) {
    sheet.line(lead + rest.substr(0, width));
    lead.assign(kLead, ' ');
  }
  sheet.add(fmt::format("{}{:<{}}  {}", lead, rest, width, text), kLead + width + 2);
}

void print_options(Sheet& sheet, const ExplainedPacket& packet) {
  const OptionWalk& walk = packet.explanation.options;
  sheet.gap();
  sheet.part("options");
  if (walk.options.empty()) return sheet.add("none");
  size_t width = 0;
  for (const TcpOption& option : walk.options) {
    width = std::max(width, option_hex(option.bytes, option.kind == TFO_OPTION_254).size());
  }
  width = std::min(std::max(width, 2 * walk.rest.size()), kHexWidth);
  sheet.line(fmt::format("   byte  {:<{}}  what the kernel makes of it", "hex", width));
  for (size_t i = 0; i < walk.options.size(); i++) {
    const TcpOption& option = walk.options[i];
    print_option(sheet, packet.place(packet.options_at() + option.offset),
                 option_hex(option.bytes, option.kind == TFO_OPTION_254), width,
                 option_text(packet, i), walk.effective == i);
  }
  if (walk.rest.empty()) return;
  const TcpOption& last = walk.options.back();
  std::string hex;
  for (const uint8_t byte : walk.rest) hex += fmt::format("{:02x}", byte);
  print_option(
      sheet,
      packet.place(packet.options_at() + last.offset + static_cast<uint32_t>(last.bytes.size())),
      hex, width, "never read", false);
}

void print_cookie(Sheet& sheet, const OptionWalk& walk) {
  std::string hex;
  for (const uint8_t byte : walk.cookie()) hex += fmt::format("{:02x}", byte);
  if (hex.empty()) return;
  sheet.part("cookie");
  sheet.line(hex);
}

std::string result_text(const KeyTrial& key) {
  switch (key.result) {
    case KeyResult::kMatch:
      return "match";
    case KeyResult::kNo:
      return "no";
    case KeyResult::kExpired:
      return "passed over: expired " + time_words(key.not_after);
    case KeyResult::kNotTried:
      return "not tried";
  }
  return "";
}

void print_keys(Sheet& sheet, const Explanation& explanation) {
  sheet.gap();
  print_cookie(sheet, explanation.options);
  sheet.part("keys");
  if (explanation.keys.empty()) {
    return sheet.add(explanation.host_reason == TFO_NO_KEY
                         ? "there are none: give --config, --key or --key-file"
                         : "none tried: there is no cookie of 8 bytes to check");
  }
  TextTable table({"key", "<place", "<fingerprint", "<servers' slot", "<this cookie"});
  for (const KeyTrial& key : explanation.keys) {
    table.add({std::to_string(key.number), std::string(to_string(key.place)), key.fingerprint,
               slot_label(key.slot), result_text(key)});
  }
  std::ostringstream text;
  table.print(text);
  std::istringstream lines(text.str());
  for (std::string line; std::getline(lines, line);) sheet.line(line);
}

void print_verdict(Sheet& sheet, const Explanation& explanation) {
  const Judgement& judged = explanation.judgement;
  sheet.gap();
  sheet.part("verdict");
  sheet.add(fmt::format("{}: {}", reason_label(judged.reason), reason_sentence(judged.reason)));
  if (explanation.is_defect()) {
    sheet.add(fmt::format(
        "DEFECT: the same core on the host says {} ({}, in enforce mode {}), for "
        "this reason:",
        reason_label(explanation.host_reason), action_label(explanation.renewal.verdict),
        action_label(explanation.renewal.would)));
  }
  sheet.add(explanation.rule);
  if (!explanation.renewal.rule.empty()) sheet.add(explanation.renewal.rule);
  sheet.add(fmt::format("action: {}; in enforce mode: {}", action_label(judged.verdict),
                        action_label(judged.would)));
}

std::string acknowledged_text(const ServerAnswer& answer, const Headers& headers) {
  const bool known = headers.tcp && headers.packet.first_fragment == 0;  // else more is to come
  const std::string data = known ? bytes_text(headers.tcp->data) + " of data" : "data";
  if (headers.packet.data == 0) {
    return answer.accepted ? "acknowledges the SYN: the connection is open at once"
                           : "acknowledges the SYN: an ordinary handshake";
  }
  return answer.acks_data
             ? fmt::format("acknowledges the SYN and its {}: the connection is open at once", data)
             : fmt::format(
                   "acknowledges the SYN alone, its {} must come again: an ordinary "
                   "handshake",
                   data);
}

void print_answer(Sheet& sheet, const ServerAnswer& answer, const Headers& headers) {
  if (!answer.given.empty()) sheet.add(answer.given + ":");
  sheet.add("SYN-ACK   " + acknowledged_text(answer, headers), kAnswerHang);
  sheet.add(answer.cookie == TFO_OPTION_NONE
                ? std::string("cookie    none in it")
                : fmt::format("cookie    a fresh one in it, in an option of kind {}",
                              option_label(answer.cookie)));
  std::string counters;
  for (const char* counter : answer.counters) {
    counters += fmt::format("{}{} + 1", counters.empty() ? "" : ", ", counter);
  }
  sheet.add("counters  " + (counters.empty() ? "none of Fast Open moves" : counters), kAnswerHang);
}

void print_servers(Sheet& sheet, const Explanation& explanation) {
  if (!explanation.is_syn() || !explanation.has_vip()) return;
  sheet.gap();
  sheet.part("servers");
  if (explanation.servers.empty()) return sheet.add("get nothing: the packet is dropped here");
  for (const ServerAnswer& answer : explanation.servers) {
    if (&answer != explanation.servers.data()) sheet.gap();
    print_answer(sheet, answer, explanation.headers);
  }
  for (const std::string& note : server_notes(explanation.options)) {
    sheet.add("but       " + note, kAnswerHang);
  }
  if (explanation.judgement.reason == TFO_PLAIN) return;
  sheet.add(
      "provided  the listener has TCP_FASTOPEN and room in its queue, net.ipv4.tcp_fastopen has "
      "0x2 "
      "and not 0x200, and no SYN cookies are being sent",
      kAnswerHang);
}

}  // namespace

std::string stamp_text(uint64_t time_ns) {
  constexpr uint64_t kSecond = 1'000'000'000;
  std::string text = time_words(static_cast<int64_t>(time_ns / kSecond));
  if (text.back() == 'Z') text.pop_back();
  return fmt::format("{}.{:09}Z", text, time_ns % kSecond);
}

void print_explanation(std::ostream& out, const ExplainedPacket& packet) {
  Sheet sheet(out);
  print_frame(sheet, packet);
  print_headers(sheet, packet);
  print_vip(sheet, packet);
  if (packet.explanation.is_syn() && packet.explanation.has_vip()) {
    print_options(sheet, packet);
    print_keys(sheet, packet.explanation);
  }
  print_verdict(sheet, packet.explanation);
  print_servers(sheet, packet.explanation);
}

}  // namespace tfo
