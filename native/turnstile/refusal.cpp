#include "refusal.hpp"

#include <algorithm>
#include <charconv>

namespace shortlist::turnstile {
namespace {

constexpr std::string_view kEnd = "\r\n\r\n";
constexpr std::size_t kLongestName = 64;
constexpr std::size_t kLongestNumber = 7;  // digits of a length

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

bool is_alphanumeric(char c) { return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z'); }

bool equal(std::string_view text, std::string_view lowered) {
  return std::ranges::equal(text, lowered, [](char a, char b) { return lower(a) == b; });
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kLongestName &&
         std::ranges::all_of(text, [](char c) { return is_alphanumeric(c) || c == '.' || c == '_' || c == '-'; });
}

std::optional<std::size_t> number(std::string_view text) {
  std::size_t value = 0;
  if (text.empty() || text.size() > kLongestNumber) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// What the headers say that matters here.
struct Headers {
  Named name;
  std::optional<std::size_t> length;

  // Whether a line leaves the form plain.
  bool take(std::string_view line) {
    const std::size_t colon = line.find(':');
    if (colon == line.npos || colon == 0 || std::ranges::any_of(line, is_control)) return false;
    const std::string_view field = line.substr(0, colon);
    if (!std::ranges::all_of(field, [](char c) { return is_alphanumeric(c) || c == '-' || c == '_'; })) return false;
    std::string_view value = line.substr(colon + 1);
    if (!value.empty() && value.front() == ' ') value.remove_prefix(1);
    if (equal(field, "content-length")) {
      if (length) return false;
      length = number(value);
      return length.has_value();
    }
    if (equal(field, "x-request-id")) {
      if (!name.id.empty() || !is_name(value)) return false;
      name.id = value;
      return true;
    }
    if (equal(field, "connection")) return equal(value, "keep-alive");
    return !equal(field, "transfer-encoding") && !equal(field, "expect") && !equal(field, "upgrade");
  }
};

}  // namespace

std::optional<Named> plain_request(std::string_view bytes, std::string_view first_line) {
  if (!bytes.starts_with(first_line)) return std::nullopt;
  const std::size_t end = bytes.find(kEnd);
  if (end == bytes.npos || end + 2 < first_line.size()) return std::nullopt;
  Headers headers;
  for (std::size_t start = first_line.size(); start < end;) {
    const std::size_t stop = bytes.find("\r\n", start);  // there is one, at the end at the latest
    if (!headers.take(bytes.substr(start, stop - start))) return std::nullopt;
    start = stop + 2;
  }
  if (!headers.length || end + kEnd.size() + *headers.length != bytes.size()) return std::nullopt;
  return headers.name;
}

void Answer::write(std::string_view id, std::string_view headers, std::string& out) const {
  out.assign("HTTP/1.1 503 Service Unavailable\r\n");
  out.append(headers).append("content-length: ").append(std::to_string(length + static_cast<std::int64_t>(id.size())));
  out.append("\r\n").append(before).append(id).append(between).append(id).append(after);
}

std::string_view Names::next() {
  constexpr char kDigits[] = "0123456789abcdef";
  std::uint64_t bits = random_();
  for (char& digit : digits_) {
    digit = kDigits[bits & 15];
    bits >>= 4;
  }
  return {digits_, sizeof digits_};
}

}  // namespace shortlist::turnstile
