/* SPDX-License-Identifier: Apache-2.0 */
#include "config/value.h"

#include <limits.h>

/* Largest last: value_add_number() takes the last one that fits. */
const struct value_unit value_plain[] = { { "", 1 }, { NULL, 0 } };
const struct value_unit value_durations[] = { { "ms", 1 },      { "s", 1000 },     { "m", 60000 },
											  { "h", 3600000 }, { "d", 86400000 }, { NULL, 0 } };
const struct value_unit value_sizes[] = {
	{ "B", 1 },           { "KB", 1000 },        { "KiB", 1024 },         { "MB", 1000000 },        { "MiB", 1048576 },
	{ "GB", 1000000000 }, { "GiB", 1073741824 }, { "TB", 1000000000000 }, { "TiB", 1099511627776 }, { NULL, 0 }
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_small_letter(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_alphanumeric(char c)
{
	return is_digit(c) || is_small_letter(c) || (c >= 'A' && c <= 'Z');
}

static bool is_one_of(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

/* --- numbers --- */

static const struct value_unit *find_unit(const struct value_unit *units, struct span suffix)
{
	for (; units->suffix; units++)
		if (span_equal(suffix, span_text(units->suffix)))
			return units;
	return NULL;
}

int value_read_number(struct span text, const struct value_unit *units, uint64_t *ret_value)
{
	size_t n = 0;
	uint64_t value = 0;
	while (n < text.n && is_digit(text.data[n]))
		n++;
	if (n == 0 || (n > 1 && text.data[0] == '0'))
		return VALUE_E_FORM;
	const struct value_unit *unit = find_unit(units, span_skip(text, n));
	if (!unit)
		return n == text.n ? VALUE_E_UNIT : VALUE_E_FORM;
	if (!span_to_u64(span_of(text.data, n), INT64_MAX / unit->factor, &value))
		return VALUE_E_RANGE;
	*ret_value = value * unit->factor;
	return VALUE_OK;
}

void value_add_number(struct buffer *b, const struct value_unit *units, uint64_t value)
{
	const struct value_unit *best = units;
	for (const struct value_unit *unit = units; unit->suffix; unit++)
		if (value && value % unit->factor == 0)
			best = unit;
	buffer_add_u64(b, value / best->factor);
	if (value)
		buffer_add_text(b, best->suffix);
}

/* --- names and paths --- */

const char *value_check_text(struct span text)
{
	if (text.n == 0)
		return "is empty";
	return memchr(text.data, '\n', text.n) || memchr(text.data, '\t', text.n) ? "has a line break or a tab in it"
																			  : NULL;
}

const char *value_check_lines(struct span text)
{
	return text.n ? NULL : "is empty";
}

const char *value_check_key(struct span text)
{
	return text.n > 64 ? "is longer than 64 bytes" : value_check_text(text);
}

const char *value_check_pattern(struct span text)
{
	if (text.n == 0 || text.n > 128)
		return "is not 1 to 128 characters long";
	const char *star = memchr(text.data, '*', text.n);
	if (star && star != text.data + text.n - 1)
		return "has a * that is not at its end, where it stands for any rest";
	for (size_t i = 0; i < text.n; i++)
		if (!is_alphanumeric(text.data[i]) && !is_one_of(text.data[i], "_-.*"))
			return "has other characters than letters, digits, - . _ and *";
	return NULL;
}

const char *value_check_name(struct span text)
{
	if (text.n == 0 || text.n > 64)
		return "is not 1 to 64 characters long";
	for (size_t i = 0; i < text.n; i++)
		if (!is_small_letter(text.data[i]) && !is_digit(text.data[i]) && !is_one_of(text.data[i], "-_"))
			return "has other characters than a-z, 0-9, - and _";
	return NULL;
}

const char *value_check_path(struct span text)
{
	if (text.n == 0 || text.data[0] != '/')
		return "is not an absolute path";
	if (text.n >= PATH_MAX)
		return "is too long";
	return value_check_text(text);
}

static bool is_unreserved(char c)
{
	return is_alphanumeric(c) || is_one_of(c, "-._~");
}

const char *value_check_request_path(struct span text)
{
	if (text.n == 0 || text.data[0] != '/')
		return "does not begin with /";
	if (text.n > 255)
		return "is longer than 255 characters";
	struct span rest = span_skip(text, 1), segment;
	while (span_next(&rest, '/', &segment)) {
		for (size_t i = 0; i < segment.n; i++)
			if (!is_unreserved(segment.data[i]))
				return "has other characters than letters, digits, - . _ ~ and /";
		if (segment.n == 0 && rest.data)
			return "has an empty segment (//)";
		if (span_equal(segment, SPAN(".")) || span_equal(segment, SPAN("..")))
			return "has a . or .. segment";
	}
	return NULL;
}

/* --- URLs --- */

struct url {
	struct span scheme, host, port; /* port.data is NULL if there is none */
	struct span rest;               /* path, query and fragment */
};

static bool is_scheme(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_small_letter(s.data[i]) && (i == 0 || (!is_digit(s.data[i]) && !is_one_of(s.data[i], "+-."))))
			return false;
	return s.n > 0;
}

/* A name or an IPv4 address, or an IPv6 address in brackets. */
static bool is_host(struct span s)
{
	bool is_bracketed = s.n > 4 && s.data[0] == '[' && s.data[s.n - 1] == ']';
	struct span inner = is_bracketed ? span_of(s.data + 1, s.n - 2) : s;
	for (size_t i = 0; i < inner.n; i++)
		if (!is_alphanumeric(inner.data[i]) && !is_one_of(inner.data[i], is_bracketed ? ":." : "-._"))
			return false;
	return inner.n > 0 && inner.n <= 253;
}

static bool is_port(struct span s)
{
	uint64_t value = 0;
	return value_read_number(s, value_plain, &value) == VALUE_OK && value >= 1 && value <= 65535;
}

/* Where the port's colon stands, behind a bracketed host too; NULL if there is none. */
static const char *find_colon(struct span authority)
{
	const char *bracket = memrchr(authority.data, ']', authority.n);
	size_t skip = bracket ? (size_t)(bracket - authority.data) : 0;
	return memchr(authority.data + skip, ':', authority.n - skip);
}

/* Takes a URL apart; says what is wrong. */
static const char *split_url(struct span text, struct url *ret_url)
{
	struct url url = { 0 };
	const char *slashes = memmem(text.data, text.n, "://", 3);
	url.scheme = span_of(text.data, slashes ? (size_t)(slashes - text.data) : 0);
	if (!slashes || !is_scheme(url.scheme))
		return "does not begin with https:// or the like";
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.data[i] <= 0x20 || (unsigned char)text.data[i] >= 0x7f)
			return "has characters in it that must be percent-encoded";
	struct span authority = span_skip(text, url.scheme.n + 3);
	size_t n = 0;
	while (n < authority.n && !is_one_of(authority.data[n], "/?#"))
		n++;
	url.rest = span_skip(authority, n);
	authority.n = n;
	if (memchr(authority.data, '@', authority.n))
		return "has a user in it";
	const char *colon = find_colon(authority);
	url.host = span_of(authority.data, colon ? (size_t)(colon - authority.data) : authority.n);
	if (colon)
		url.port = span_skip(authority, url.host.n + 1);
	if (!is_host(url.host) || (colon && !is_port(url.port)))
		return "has no valid host, or no valid port";
	*ret_url = url;
	return NULL;
}

static bool is_http(struct span scheme)
{
	return span_equal(scheme, SPAN("http")) || span_equal(scheme, SPAN("https"));
}

const char *value_check_url(struct span text)
{
	struct url url = { 0 };
	const char *problem = split_url(text, &url);
	if (problem)
		return problem;
	if (!is_http(url.scheme))
		return "is neither http nor https";
	return url.rest.n && memchr(url.rest.data, '#', url.rest.n) ? "has a fragment (#)" : NULL;
}

const char *value_check_public_url(struct span text)
{
	const char *problem = value_check_url(text);
	if (problem)
		return problem;
	if (memchr(text.data, '?', text.n))
		return "has a query (?)";
	return text.data[text.n - 1] == '/' ? "ends with /, which the path begins with" : NULL;
}

const char *value_check_host(struct span text)
{
	return is_host(text) ? NULL : "is no host name and no address, or has a port";
}

static bool is_default_port(const struct url *url)
{
	return (span_equal(url->scheme, SPAN("https")) && span_equal(url->port, SPAN("443"))) ||
		   (span_equal(url->scheme, SPAN("http")) && span_equal(url->port, SPAN("80")));
}

const char *value_check_origin(struct span text)
{
	struct url url = { 0 };
	if (span_equal(text, SPAN("*")))
		return "would let the scripts of any web page listen in with their visitor's token";
	const char *problem = split_url(text, &url);
	if (problem)
		return problem;
	if (url.rest.n)
		return "has something behind the host and port; an origin ends there";
	if (is_default_port(&url))
		return "names the port that browsers leave out of an origin";
	for (size_t i = 0; i < url.host.n; i++)
		if (url.host.data[i] >= 'A' && url.host.data[i] <= 'Z')
			return "has capital letters, which browsers never send in an origin";
	return NULL;
}
