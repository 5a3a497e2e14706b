/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/base64.h"

/* The six bits of a character, -1 if it has none. */
static int value_of(char c, enum base64_alphabet alphabet)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == (alphabet == BASE64_URL ? '-' : '+'))
		return 62;
	return c == (alphabet == BASE64_URL ? '_' : '/') ? 63 : -1;
}

/* Without its padding; false if the padding is not what the length asks for. */
static bool strip_padding(struct span *text)
{
	size_t n_padding = 0;
	while (n_padding < 2 && text->n > n_padding && text->data[text->n - 1 - n_padding] == '=')
		n_padding++;
	if (n_padding && text->n % 4 != 0)
		return false;
	text->n -= n_padding;
	return text->n % 4 != 1;
}

bool base64_read(struct span text, enum base64_alphabet alphabet, struct buffer *decoded)
{
	uint32_t bits = 0;
	unsigned n_bits = 0;
	if (!strip_padding(&text))
		return false;
	for (size_t i = 0; i < text.n; i++) {
		int value = value_of(text.data[i], alphabet);
		if (value < 0)
			return false;
		bits = (bits << 6 | (uint32_t)value) & 0xffffff;
		n_bits += 6;
		if (n_bits >= 8) {
			n_bits -= 8;
			buffer_add_char(decoded, (char)(bits >> n_bits & 0xff));
		}
	}
	return !decoded->failed;
}
