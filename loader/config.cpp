// SPDX-License-Identifier: BSD-2-Clause
#include "loader/config.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include "loader/config_parser.h"
#include "loader/keys/redact.h"

namespace tfo {
namespace {

constexpr std::string_view kNameRule =
    "letters, digits, '.', '_', ':' and '-', beginning with a letter or digit";

bool is_name(std::string_view text) {
  constexpr std::string_view letters =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  return !text.empty() && letters.find(text.front()) != std::string_view::npos &&
         text.find_first_not_of(std::string(letters) + "._:-") == std::string_view::npos;
}

tl::unexpected<std::vector<ConfigError>> refuse(const std::string& file, std::string wrong,
                                                std::string right) {
  return tl::unexpected(std::vector<ConfigError>{{file, std::move(wrong), std::move(right)}});
}

}  // namespace

void ConfigParser::once(Seen& seen, const std::string& what, const ConfigNode& node,
                        const std::string& kind) {
  const auto [first, fresh] = seen.emplace(what, node.path());
  if (!fresh) {
    node.complain(fmt::format("{} {} is already used by {}", kind, what, first->second),
                  "every one may be used once");
  }
}

std::optional<std::string> ConfigParser::name(const ConfigNode& node, size_t longest) {
  const std::string right = fmt::format("of 1 to {} characters: {}", longest, kNameRule);
  const auto text = node.text(right);
  if (!text) return std::nullopt;
  if (looks_like_key(*text)) {
    node.complain("looks like a key", "names are shown everywhere: give a string " + right);
    return std::nullopt;
  }
  if (is_name(*text) && text->size() <= longest) return text;
  node.complain(fmt::format("\"{}\" is no name", *text), "give a string " + right);
  return std::nullopt;
}

std::optional<std::string> ConfigParser::absolute_path(const ConfigNode& node, size_t longest) {
  const std::string right = fmt::format("an absolute path of at most {} characters", longest);
  const auto text = node.text(right);
  if (!text) return std::nullopt;
  const bool printable = text->find('\0') == std::string::npos;
  if (text->starts_with('/') && text->size() <= longest && printable) return text;
  node.complain(fmt::format("\"{}\" is no such path", *text), "give " + right);
  return std::nullopt;
}

void ConfigParser::plain_fields(ConfigObject& root) {
  constexpr size_t kSocketPath = 107;  // sun_path of sockaddr_un less its NUL
  if (const auto node = root.optional("instance")) {
    if (const auto text = name(*node, 63)) config_.instance = *text;
  }
  if (const auto node = root.optional("socket")) {
    if (const auto text = absolute_path(*node, kSocketPath)) config_.socket = *text;
  }
  if (const auto node = root.optional("state_directory")) {
    if (const auto text = absolute_path(*node, kMostPath)) config_.state_directory = *text;
  }
  if (const auto node = root.optional("bpffs")) {
    if (const auto text = absolute_path(*node, kMostPath)) config_.bpffs = *text;
  }
  if (const auto node = root.optional("log_level")) {
    const std::vector<std::string_view> levels = {"debug", "info", "warning", "error"};
    if (const auto level = node->choice(levels)) config_.log_level = levels[*level];
  }
}

Config ConfigParser::parse(const nlohmann::json& document) {
  ConfigObject root(ConfigNode(document, "", complaints_),
                    R"(such as {"interfaces": [{"name": "eth0"}], ...})");
  plain_fields(root);
  const auto farm_section = root.optional("farm");
  if (farm_section) farm(*farm_section);
  // Pools first: VIPs and namespaces refer to them.
  if (const auto node = root.optional("pools")) pools(*node);
  if (root.valid()) farm_needed(farm_section.has_value());
  const auto watched = root.optional("interfaces");
  if (watched) interfaces(*watched);
  if (const auto node = root.optional("vips")) vips(*node);
  if (const auto node = root.optional("server"); node && !node->is_null()) server(*node);
  if (const auto node = root.optional("http")) http(*node);
  if (const auto node = root.optional("guard")) guard_tables(*node);
  if (const auto node = root.optional("alerts")) alerts(*node);
  if (const auto node = root.optional("monitor")) monitor(*node);  // after the VIPs
  root.finish();
  const bool guarded = std::any_of(config_.vips.begin(), config_.vips.end(),
                                   [](const VipConfig& vip) { return vip.guard.on; });
  for (InterfaceConfig& one : config_.interfaces) one.guard = guarded;
  monitor_interfaces();
  const bool none = !watched || watched->is_empty_array();
  if (root.valid() && none && !config_.server) {
    complaints_.add(
        "interfaces", "is missing or empty, and there is no \"server\"",
        R"(give the interfaces to watch, such as [{"name": "eth0"}], or a server role)");
  }
  return config_;
}

ConfigResult parse_config(std::string_view text, const std::string& file) {
  Complaints complaints(file);
  const auto document = parse_document(text, file, complaints);
  Config config;
  if (document) config = ConfigParser(complaints).parse(*document);
  if (!complaints.empty()) return tl::unexpected(complaints.take());
  return config;
}

ConfigResult load_config(const std::string& file) {
  struct stat status{};
  const char* const right = "give the path of a readable configuration file with --config";
  if (stat(file.c_str(), &status) != 0) return refuse(file, std::strerror(errno), right);
  if (!S_ISREG(status.st_mode)) return refuse(file, "is not a regular file", right);
  if (static_cast<size_t>(status.st_size) > kMaxConfigBytes) {
    return refuse(file, fmt::format("is larger than {} bytes", kMaxConfigBytes), right);
  }
  errno = 0;
  std::ifstream stream(file, std::ios::binary);
  if (!stream) return refuse(file, std::strerror(errno), right);
  const std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  if (stream.bad()) return refuse(file, "cannot be read to its end", right);
  return parse_config(text, file);
}

}  // namespace tfo
