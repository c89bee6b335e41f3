// SPDX-License-Identifier: BSD-2-Clause
// The sections interfaces, server and http.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <string>

#include "bpf/tfo_abi.h"
#include "loader/config_parser.h"

namespace tfo {
namespace {

using std::chrono::seconds;
constexpr seconds kYear{365 * 86400};

bool is_interface_name(std::string_view text) {
  // dev_valid_name() of net/core/dev.c
  return !text.empty() && text.size() <= 15 && text != "." && text != ".." &&
         text.find_first_of("/: \t\n\v\f\r") == std::string_view::npos &&
         text.find('\0') == std::string_view::npos;
}

constexpr std::string_view kUnix = "unix:";

/// "host:port", "[v6]:port" or "unix:/path".
std::optional<HttpConfig> parse_listen(std::string_view text) {
  HttpConfig out;
  if (text.starts_with(kUnix)) {
    out.path = text.substr(kUnix.size());
    const bool good = out.path.starts_with('/') &&
                      out.path.size() < sizeof(sockaddr_un::sun_path) &&
                      out.path.find('\0') == std::string::npos && !out.path.ends_with('/');
    return good ? std::optional(out) : std::nullopt;
  }
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), out.port);
  if (error != std::errc{} || end != port.data() + port.size()) return std::nullopt;
  const bool brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (brackets) host = host.substr(1, host.size() - 2);
  out.host = host;
  in6_addr scratch{};
  if (inet_pton(brackets ? AF_INET6 : AF_INET, out.host.c_str(), &scratch) != 1)
    return std::nullopt;
  return out;
}

}  // namespace

void ConfigParser::interfaces(const ConfigNode& node) {
  for (const ConfigNode& item : node.items(kMaxInterfaces, R"(such as [{"name": "eth0"}])")) {
    interface(item);
  }
}

void ConfigParser::interface(const ConfigNode& node) {
  ConfigObject object(node, R"(such as {"name": "eth0"})");
  InterfaceConfig out;
  if (const auto field = object.required("name", R"(the interface's name, such as "eth0")")) {
    const std::string right = "the name of a network interface (1 to 15 characters)";
    const auto text = field->text(right);
    if (text && !is_interface_name(*text)) {
      field->complain(fmt::format("\"{}\" cannot be an interface", *text), "give " + right);
    } else if (text) {
      out.name = *text;
      once(interface_names_, *text, *field, "interface");
    }
  }
  if (const auto field = object.optional("mode")) {
    if (const auto mode = field->choice({"auto", "native", "generic"})) {
      out.mode = static_cast<AttachMode>(*mode);
    }
  }
  if (const auto field = object.optional("decap")) decap(*field, out);
  if (const auto field = object.optional("gue_port")) {
    if (const auto port = field->integer(1, 65535, "a UDP port")) out.gue_port = *port;
  }
  if (const auto field = object.optional("egress")) out.egress = field->boolean().value_or(false);
  if (const auto field = object.optional("inside")) out.inside = field->boolean().value_or(false);
  object.finish();
  config_.interfaces.push_back(out);
}

void ConfigParser::decap(const ConfigNode& node, InterfaceConfig& out) {
  for (const ConfigNode& item : node.items(8, R"(such as ["ipip", "gue"] or [])")) {
    const auto kind = item.choice({"ipip", "gue"});
    if (!kind) continue;
    const uint8_t bit = *kind == 0 ? TFO_DECAP_IPIP : TFO_DECAP_GUE;
    if ((out.decap & bit) != 0) {
      item.complain(fmt::format("\"{}\" is given twice", *kind == 0 ? "ipip" : "gue"),
                    "remove one of the two");
    }
    out.decap |= bit;
  }
}

std::optional<std::string> ConfigParser::pool_reference(ConfigObject& object) {
  const auto field = object.required("pool", "the name of a pool in \"pools\"");
  if (!field) return std::nullopt;
  const auto text = field->text("the name of a pool in \"pools\"");
  if (!text || pool_names_.contains(*text)) return text;
  std::vector<std::string> names;
  for (const auto& [known, path] : pool_names_) names.push_back(known);
  const auto meant = nearest_word(*text, names);
  field->complain(fmt::format("there is no pool \"{}\"", *text),
                  meant ? fmt::format("did you mean \"{}\"?", *meant)
                        : fmt::format("add it to \"pools\": {{\"{}\": {{}}}}", *text));
  return std::nullopt;
}

void ConfigParser::server(const ConfigNode& node) {
  ConfigObject object(node, R"(such as {"namespaces": [{"pool": "web"}]})");
  ServerConfig out;
  const std::string right = R"(the network namespaces to serve, such as [{"pool": "web"}])";
  if (const auto field = object.required("namespaces", right)) {
    const auto items = field->items(kMaxNamespaces, R"(such as [{"pool": "web"}])");
    for (const ConfigNode& item : items) server_namespace(item, out);
  }
  if (const auto field = object.optional("manage_sysctl")) {
    if (const auto value = field->boolean()) out.manage_sysctl = *value;
  }
  if (const auto field = object.optional("enable_delay")) {
    const auto value = field->duration(seconds{1}, kYear, true);
    if (value) out.enable_delay = *value;
  }
  if (const auto field = object.optional("on_drift")) {
    if (const auto value = field->choice({"repair", "report"})) {
      out.on_drift = *value == 0 ? OnDrift::repair : OnDrift::report;
    }
  }
  if (const auto field = object.optional("restore_on_stop")) {
    if (const auto value = field->boolean()) out.restore_on_stop = *value;
  }
  object.finish();
  config_.server = std::move(out);
}

void ConfigParser::server_namespace(const ConfigNode& node, ServerConfig& role) {
  ConfigObject object(node, R"(such as {"pool": "web", "netns": "web1"})");
  NamespaceConfig out;
  bool bad = false;
  if (const auto pool_name = pool_reference(object)) out.pool = *pool_name;
  if (const auto field = object.optional("netns"); field && !field->is_null()) {
    const std::string right =
        "a name under /run/netns (as `ip netns` shows it) or an absolute path of a namespace file";
    const auto text = field->text(right);
    bad = !text || text->empty() || *text == "." || *text == ".." ||
          (text->front() != '/' && text->find('/') != std::string::npos);
    if (text && bad) {
      field->complain(fmt::format("\"{}\" is no namespace", *text), "give " + right);
    } else if (text) {
      out.netns = text->front() == '/' ? *text : "/run/netns/" + *text;
    }
  }
  object.finish();
  if (bad) return;
  const auto [first, fresh] = namespaces_.emplace(out.netns, node.path());
  if (!fresh) {
    node.complain(fmt::format("namespace {} is already served by {}",
                              out.netns.empty() ? "(our own)" : out.netns, first->second),
                  "a namespace has one pair of keys and so one pool: name it once");
  }
  role.namespaces.push_back(out);
}

void ConfigParser::http(const ConfigNode& node) {
  if (node.is_null()) {
    config_.http.reset();
    return;
  }
  ConfigObject object(node, R"(such as {"listen": "127.0.0.1:9413"}, or null for none)");
  if (const auto field = object.optional("listen")) {
    const std::string right =
        R"(an address and a port (0 = any free one), such as "127.0.0.1:9413" or "[::1]:9413", )"
        R"(or "unix:" and an absolute path of at most 107 characters)";
    const auto text = field->text(right);
    const auto parsed = text ? parse_listen(*text) : std::nullopt;
    if (parsed) config_.http = *parsed;
    if (text && !parsed) {
      field->complain(fmt::format("\"{}\" is no place to listen", *text), "give " + right);
    }
  }
  if (const auto field = object.optional("tls")) {
    if (config_.http && config_.http->path.empty()) {
      http_tls(*field);
    } else {
      field->complain("a unix socket is served without TLS",
                      "remove \"tls\", or give \"listen\" an address and a port");
    }
  }
  object.finish();
}

void ConfigParser::http_tls(const ConfigNode& node) {
  ConfigObject object(node, R"("certificate", "key" and "client_ca", paths of PEM files)");
  HttpTlsConfig out;
  const std::pair<const char*, std::string*> files[] = {
      {"certificate", &out.certificate}, {"key", &out.key}, {"client_ca", &out.client_ca}};
  for (const auto& [name, path] : files) {
    if (const auto field = object.required(name, "the absolute path of a PEM file")) {
      *path = absolute_path(*field, kMostPath).value_or("");
    }
  }
  object.finish();
  if (config_.http) config_.http->tls = out;
}

}  // namespace tfo
