// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include "loader/observe/reason_table.h"
#include "tools/explain_report.h"

namespace tfo {

using nlohmann::ordered_json;

namespace {

std::string hex_text(std::span<const uint8_t> bytes) {
  std::string text;
  for (const uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

ordered_json frame_json(const ExplainedPacket& packet) {
  const CapturedFrame& captured = packet.input.captured();
  ordered_json tags = ordered_json::array();
  for (const TagHeader& tag : packet.explanation.headers.tags) {
    tags.push_back({{"protocol", tag.protocol == 0x8100 ? "802.1Q" : "802.1ad"},
                    {"vlan", tag.vlan},
                    {"offset", packet.place(tag.offset)}});
  }
  ordered_json frame = {{"number", nullptr},
                        {"time_ns", nullptr},
                        {"link_type", LinkShaper::name(packet.input.link_type())},
                        {"length", captured.wire_length},
                        {"captured", captured.bytes.size()},
                        {"tags", std::move(tags)}};
  if (packet.input.from_file()) {
    frame["number"] = captured.number;
    frame["time_ns"] = captured.time_ns;
  }
  return frame;
}

ordered_json ip_json(const ExplainedPacket& packet, const IpHeader& ip) {
  ordered_json extensions = ordered_json::array();
  for (const ExtensionHeader& extension : ip.extensions) {
    extensions.push_back({{"kind", extension.kind},
                          {"name", protocol_name(extension.kind)},
                          {"offset", packet.place(extension.offset)},
                          {"length", extension.length}});
  }
  ordered_json document = {{"family", ip.family},
                           {"source", ip.source},
                           {"destination", ip.destination},
                           {"offset", packet.place(ip.offset)},
                           {"header_length", ip.length},
                           {"end", packet.place(ip.end)},
                           {"protocol", ip.protocol},
                           {"extensions", std::move(extensions)},
                           {"fragment", nullptr}};
  if (ip.fragment) {
    document["fragment"] = {{"offset", ip.fragment_offset}, {"more", ip.more_fragments}};
  }
  return document;
}

ordered_json gue_json(const ExplainedPacket& packet) {
  const std::optional<GueHeader>& gue = packet.explanation.headers.gue;
  if (!gue) return nullptr;
  return {{"offset", packet.place(gue->offset)},
          {"length", gue->length},
          {"port", gue->port},
          {"variant", gue->variant}};
}

ordered_json tcp_json(const ExplainedPacket& packet) {
  const std::optional<TcpHeader>& tcp = packet.explanation.headers.tcp;
  if (!tcp) return nullptr;
  return {{"offset", packet.place(tcp->offset)},
          {"source_port", tcp->source_port},
          {"destination_port", tcp->destination_port},
          {"sequence", tcp->sequence},
          {"flags", flag_names(tcp->flags)},
          {"header_length", tcp->length},
          {"data_length", tcp->data}};
}

ordered_json options_json(const ExplainedPacket& packet) {
  const OptionWalk& walk = packet.explanation.options;
  ordered_json rows = ordered_json::array();
  for (size_t i = 0; i < walk.options.size(); i++) {
    const TcpOption& option = walk.options[i];
    ordered_json row = {{"offset", packet.place(option.offset + packet.options_at())},
                        {"bytes", hex_text(option.bytes)},
                        {"kind", option.bytes[0]},
                        {"name", option_name(option)},
                        {"effect", effect_label(option.effect)},
                        {"effective", walk.effective == i}};
    if (option.undone_by) row["undone_by"] = *option.undone_by;
    rows.push_back(std::move(row));
  }
  return rows;
}

ordered_json fast_open_json(const ExplainedPacket& packet) {
  const OptionWalk& walk = packet.explanation.options;
  const TcpOption* option = walk.fast_open();
  if (option == nullptr) return {{"state", "none"}};
  ordered_json document = {{"state", effect_label(option->effect)},
                           {"kind", option_label(option->kind)},
                           {"offset", packet.place(option->offset + packet.options_at())}};
  if (!walk.cookie().empty()) document["cookie"] = hex_text(walk.cookie());
  return document;
}

ordered_json keys_json(const Explanation& explanation) {
  ordered_json rows = ordered_json::array();
  for (const KeyTrial& key : explanation.keys) {
    rows.push_back({{"number", key.number},
                    {"place", to_string(key.place)},
                    {"fingerprint", key.fingerprint},
                    {"slot", slot_label(key.slot)},
                    {"not_after", key.not_after},
                    {"result", key_result_label(key.result)}});
  }
  return rows;
}

ordered_json servers_json(const Explanation& explanation) {
  if (explanation.servers.empty()) return nullptr;
  ordered_json rows = ordered_json::array();
  for (const ServerAnswer& answer : explanation.servers) {
    ordered_json row = {{"accepted", answer.accepted},
                        {"acks_data", answer.acks_data},
                        {"fresh_cookie", answer.cookie != TFO_OPTION_NONE},
                        {"option", option_label(answer.cookie)},
                        {"counters", answer.counters}};
    if (!answer.given.empty()) row["given"] = answer.given;
    rows.push_back(std::move(row));
  }
  return rows;
}

ordered_json renewal_json(const Explanation& explanation) {
  const RenewalOutcome& renewal = explanation.renewal;
  if (renewal.rule.empty()) return nullptr;
  return {
      {"rule", renewal.rule},
      {"target", renewal.target.empty() ? ordered_json(nullptr) : ordered_json(renewal.target)}};
}

}  // namespace

ordered_json explanation_json(const ExplainedPacket& packet) {
  const Explanation& explanation = packet.explanation;
  const Judgement& judged = explanation.judgement;
  const bool looked = explanation.is_syn() && explanation.has_vip();
  ordered_json ip = ordered_json::array();
  for (const IpHeader& header : explanation.headers.ip) ip.push_back(ip_json(packet, header));
  ordered_json document = {{"frame", frame_json(packet)},
                           {"ip", std::move(ip)},
                           {"gue", gue_json(packet)},
                           {"tcp", tcp_json(packet)},
                           {"vip", nullptr},
                           {"options", nullptr},
                           {"fast_open", nullptr},
                           {"keys", nullptr},
                           {"reason", reason_label(judged.reason)},
                           {"sentence", reason_sentence(judged.reason)},
                           {"rule", explanation.rule},
                           {"option", option_label(judged.option)},
                           {"data", judged.data ? 1 : 0},
                           {"verdict", action_label(judged.verdict)},
                           {"would", action_label(judged.would)},
                           {"renewal", renewal_json(explanation)},
                           {"servers", servers_json(explanation)},
                           {"servers_notes", server_notes(explanation.options)},
                           {"defect", nullptr}};
  if (looked) {
    document["vip"] = {{"name", packet.vip}, {"pool", packet.pool}};
    document["options"] = options_json(packet);
    document["fast_open"] = fast_open_json(packet);
    document["keys"] = keys_json(explanation);
  }
  if (explanation.is_defect()) {
    document["defect"] = {{"program", reason_label(judged.reason)},
                          {"core", reason_label(explanation.host_reason)}};
  }
  return document;
}

}  // namespace tfo
