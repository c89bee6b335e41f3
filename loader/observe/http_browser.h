// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <string_view>

namespace httplib {
struct Request;
struct Response;
}  // namespace httplib

namespace tfo {

/// What a page that browsers show needs beyond its text.

/// Nothing may be loaded from elsewhere, nothing embeds it, nothing guesses its type.
void add_browser_headers(httplib::Response& response);

/// Is it an address of this host's own users, which nobody else reaches?
bool is_loopback(std::string_view host);

/// A server on a loopback address trusts whoever reaches it. Another site's script reaches it under
/// a name of that site's that leads to 127.0.0.1 (DNS rebinding), so there the Host must be an
/// address or localhost. Elsewhere every name is good. False: the response says what is wrong.
bool host_is_ours(const std::string& listens_on, const httplib::Request& request,
                  httplib::Response& response);

/// Is this text of an Accept-Encoding header content with gzip (RFC 9110 section 12.5.3)?
bool takes_gzip(std::string_view accept_encoding);

/// Sends `gzip` as it is.
void send_gzip(std::string_view gzip, const char* type, httplib::Response& response);

}  // namespace tfo
