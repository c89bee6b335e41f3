// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <string_view>

namespace tfo {

/// Replaces whatever looks like a key, or like most of one, by "<key>". For messages that repeat
/// what somebody wrote: a key may have been typed or pasted in the wrong place, or with a slip.
///
/// Groups of letters and digits of which at least half are hex digits, joined by hyphens, count as
/// one text; so do groups like a key's that a blank, colon, underscore, dot or slash separates. Too
/// many are 20 hex digits in such a text, or 16 (half a key) in a row. So are 21 characters of
/// base64 (RFC 4648) with padding behind them, which is how people make secrets to derive keys
/// from. Addresses, names, UUIDs and lists of fingerprints stay; so do exactly 16 small hex digits
/// with nothing joined to them, which is how generations and requests of a farm are named.
std::string without_keys(std::string_view text);

/// Would without_keys() change it?
bool looks_like_key(std::string_view text);

}  // namespace tfo
