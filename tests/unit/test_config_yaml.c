/* SPDX-License-Identifier: Apache-2.0 */
/* YAML becomes a tree with places, and whatever is not plain YAML is refused with its place. */
#include "config/yaml.h"
#include "unit.h"

#include <stdio.h>
#include <time.h>

static const struct yaml_file file = { .name = "f.yaml" };

static int read_text(struct span text, struct complaints *complaints, struct yaml_node **ret_root)
{
	complaints_expect_file(complaints, file.name);
	return yaml_read(&file, text, complaints, ret_root);
}

static struct yaml_node *expect_tree(const char *text)
{
	CLEANUP(complaints_finish) struct complaints complaints = COMPLAINTS_INIT;
	struct yaml_node *root = NULL;
	CU_ASSERT_EQUAL_FATAL(read_text(span_text(text), &complaints, &root), YAML_OK);
	CU_ASSERT_EQUAL(complaints.n, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(root);
	return root;
}

static void expect_place(const struct yaml_node *node, enum yaml_kind kind, size_t line, size_t column)
{
	CU_ASSERT_PTR_NOT_NULL_FATAL(node);
	CU_ASSERT_EQUAL(node->kind, kind);
	CU_ASSERT_EQUAL(node->line, line);
	CU_ASSERT_EQUAL(node->column, column);
	CU_ASSERT_PTR_EQUAL(node->file, &file);
}

static void test_tree(void)
{
	CLEANUP(yaml_node_destroy)
	struct yaml_node *root = expect_tree("---\n"
										 "plain: a b # comment\n"
										 "quoted: \"a\\tb\"\n"
										 "list:\n"
										 "  - one\n"
										 "  - {k: v, \"*\": ~}\n"
										 "empty:\n"
										 "\xc3\xa4: '8'\n"
										 "block: |\n"
										 "  two\n"
										 "  lines\n");
	expect_place(root, YAML_KIND_MAP, 2, 1);
	CU_ASSERT_EQUAL(root->n_entries, 6);
	expect_place(yaml_get(root, "plain"), YAML_KIND_TEXT, 2, 8);
	CU_ASSERT_STRING_EQUAL(yaml_get(root, "plain")->text, "a b");
	CU_ASSERT_FALSE(yaml_get(root, "plain")->is_quoted);
	CU_ASSERT_STRING_EQUAL(yaml_get(root, "quoted")->text, "a\tb");
	CU_ASSERT_TRUE(yaml_get(root, "quoted")->is_quoted);
	const struct yaml_node *list = yaml_get(root, "list");
	expect_place(list, YAML_KIND_LIST, 5, 3);
	expect_place(list->entries[0].value, YAML_KIND_TEXT, 5, 5);
	expect_place(list->entries[1].value, YAML_KIND_MAP, 6, 5);
	expect_place(yaml_get(list->entries[1].value, "*"), YAML_KIND_NOTHING, 6, 17);
	CU_ASSERT_EQUAL(yaml_get(root, "empty")->kind, YAML_KIND_NOTHING);
	expect_place(yaml_get(root, "\xc3\xa4"), YAML_KIND_TEXT, 8, 4); /* columns count characters */
	CU_ASSERT_STRING_EQUAL(yaml_get(root, "block")->text, "two\nlines\n");
	CU_ASSERT_PTR_NULL(yaml_get(root, "none"));
	CU_ASSERT_PTR_NULL(yaml_get(list, "none"));
	CU_ASSERT_PTR_NULL(yaml_get(NULL, "none"));
}

static void test_kinds_of_nothing(void)
{
	static const char *const nothing[] = {
		"", "\n", "# only a comment\n", "---\n", "--- ~\n", "null\n", "\xef\xbb\xbf"
	};
	for (size_t i = 0; i < ARRAY_LENGTH(nothing); i++) {
		CLEANUP(yaml_node_destroy) struct yaml_node *root = expect_tree(nothing[i]);
		CU_ASSERT_EQUAL(root->kind, YAML_KIND_NOTHING);
	}
	CLEANUP(yaml_node_destroy) struct yaml_node *text = expect_tree("\"\"");
	CU_ASSERT_EQUAL(text->kind, YAML_KIND_TEXT);
	CU_ASSERT_STRING_EQUAL(text->text, "");
}

static void test_line_ends_and_mark(void)
{
	CLEANUP(yaml_node_destroy)
	struct yaml_node *dos = expect_tree("\xef\xbb\xbf"
										"a: 1\r\nb: 2\r\n");
	expect_place(yaml_get(dos, "a"), YAML_KIND_TEXT, 1, 4);
	expect_place(yaml_get(dos, "b"), YAML_KIND_TEXT, 2, 4);
	CU_ASSERT_STRING_EQUAL(yaml_get(dos, "b")->text, "2");
}

static void test_sixteen_levels(void)
{
	CLEANUP(yaml_node_destroy) struct yaml_node *root = expect_tree("[[[[[[[[[[[[[[[[x]]]]]]]]]]]]]]]]");
	CU_ASSERT_EQUAL(root->kind, YAML_KIND_LIST);
}

/* Exactly these complaints, one a line; has_tree: the rest could be read. */
static void expect_complaints(struct span text, bool has_tree, const char *expected)
{
	CLEANUP(complaints_finish) struct complaints complaints = COMPLAINTS_INIT;
	CLEANUP(yaml_node_destroy) struct yaml_node *root = NULL;
	int outcome = read_text(text, &complaints, &root);
	char got[2048] = "";
	size_t n = 0;
	for (size_t i = 0; i < complaints.n && n < sizeof got; i++)
		n += (size_t)snprintf(got + n, sizeof got - n, "%s%s", i ? "\n" : "", complaints.items[i].text);
	if (strcmp(got, expected) != 0)
		printf("\n  %.*s\n  got:  %s\n  want: %s\n", text.n > 60 ? 60 : SPAN_PRINTF(text), got, expected);
	CU_ASSERT_STRING_EQUAL(got, expected);
	CU_ASSERT_EQUAL(outcome, has_tree ? YAML_OK : YAML_E_INVALID);
	CU_ASSERT_EQUAL(root != NULL, has_tree);
	CU_ASSERT_EQUAL(complaints.n_errors, complaints.n);
}

static void test_refuses_fine_points_of_yaml(void)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{ "a: !!str x", "f.yaml:1:4: tags (!) are not supported; take it out" },
		{ "a: !x", "f.yaml:1:4: tags (!) are not supported; take it out" },
		{ "a: ! x", "f.yaml:1:4: tags (!) are not supported; take it out" },
		{ "a: ! 'x'", "f.yaml:1:4: tags (!) are not supported; take it out" },
		{ "a: !!set {x}", "f.yaml:1:4: tags (!) are not supported; take it out" },
		{ "a: ! [x]", "f.yaml:1:4: tags (!) are not supported; take it out" },
		{ "!!map\na: x", "f.yaml:1:1: tags (!) are not supported; take it out" },
		{ "!!str a: x", "f.yaml:1:1: tags (!) are not supported; take it out" },
		{ "a: !<tag:yaml.org,2002:python/object> x", "f.yaml:1:4: tags (!) are not supported; take it out" },
		{ "a: &x y", "f.yaml:1:4: anchors (&) are not supported; take it out" },
		{ "a: &x [y]", "f.yaml:1:4: anchors (&) are not supported; take it out" },
		{ "a: &x {y: z}", "f.yaml:1:4: anchors (&) are not supported; take it out" },
		{ "a: &x y\nb: *x", "f.yaml:1:4: anchors (&) are not supported; take it out\n"
							"f.yaml:2:4: aliases (*) are not supported; write it out" },
		{ "a: &a [x,x]\nb: &b [*a,*a]", "f.yaml:1:4: anchors (&) are not supported; take it out\n"
										"f.yaml:2:4: anchors (&) are not supported; take it out\n"
										"f.yaml:2:8: aliases (*) are not supported; write it out\n"
										"f.yaml:2:11: aliases (*) are not supported; write it out" },
		{ "*x : y", "f.yaml:1:1: aliases (*) are not supported; write it out" },
		{ "<<: {a: b}", "f.yaml:1:1: merge keys (<<) are not supported; write the keys out" },
		{ "a: 1\nb: 2\na: 3", "f.yaml:3:1: this key is in f.yaml:1:1 already; keep one of them" },
		{ "a: 1\n\"a\": 2\n'a': 3", "f.yaml:2:1: this key is in f.yaml:1:1 already; keep one of them\n"
									"f.yaml:3:1: this key is in f.yaml:1:1 already; keep one of them" },
		{ "x: {a: 1, b: 1, a: 2, b: 2}", "f.yaml:1:17: this key is in f.yaml:1:5 already; keep one of them\n"
										 "f.yaml:1:23: this key is in f.yaml:1:11 already; keep one of them" },
		{ "[a]: b", "f.yaml:1:1: a key must be plain text" },
		{ "{a: b}: c", "f.yaml:1:1: a key must be plain text" },
		{ "? |\n  a\n: b\n? [x]\n: c", "f.yaml:4:3: a key must be plain text" },
		{ "?\n: b", "f.yaml:1:2: a key is missing before the colon" },
		{ "~: b", "f.yaml:1:1: a key is missing before the colon" },
		{ "a: \"x\\0y\"", "f.yaml:1:4: an escape in this text makes a control character; take it out" },
		{ "a: \"x\\ey\"", "f.yaml:1:4: an escape in this text makes a control character; take it out" },
		{ "a: \"\\x7f\"", "f.yaml:1:4: an escape in this text makes a control character; take it out" },
		{ "a: \"\\r\"", "f.yaml:1:4: an escape in this text makes a control character; take it out" },
		{ "a: \"\\N\"", "f.yaml:1:4: an escape in this text makes a control character; take it out" },
		{ "\"a\\0\": b", "f.yaml:1:1: an escape in this text makes a control character; take it out" },
	};
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		expect_complaints(span_text(cases[i].text), true, cases[i].expected);
}

static void test_refuses_broken_yaml(void)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{ "a: b\n---\nc: d", "f.yaml:2:1: a second document begins here; write one document in a file" },
		{ "a: b\n...\n---\nc: d", "f.yaml:3:1: a second document begins here; write one document in a file" },
		{ "---\n---\n", "f.yaml:2:1: a second document begins here; write one document in a file" },
		{ "a:\n\tb: c", "f.yaml:2:1: a tab indents this line; use spaces" },
		{ "a: b\n\tc: d", "f.yaml:2:1: a tab indents this line; use spaces" },
		{ "a: |\n\tb", "f.yaml:2:1: a tab indents this line; use spaces" },
		{ "a: b: c",
		  "f.yaml:1:5: a colon makes no sense here; put text with a colon into quotes, and give each key a line "
		  "of its own" },
		{ "a: systemd:",
		  "f.yaml:1:11: a colon makes no sense here; put text with a colon into quotes, and give each key a "
		  "line of its own" },
		{ "a: [::]:8443", "f.yaml:1:5: a value is missing here; put text that begins with a bracket into quotes" },
		{ "a: [1, 2",
		  "f.yaml:1:4: the list is not closed; write ] or put a comma before the next entry (found out in line 2)" },
		{ "a: [1 2, [", "f.yaml:2:1: a value is missing here; put text that begins with a bracket into quotes" },
		{ "a: {b: 1",
		  "f.yaml:1:4: the map is not closed; write } or put a comma before the next key (found out in line 2)" },
		{ "a: \"x", "f.yaml:1:6: the quotes are not closed" },
		{ "a: 'x\nb: c\n", "f.yaml:1:4: the quotes are not closed (found out in line 3)" },
		{ "a: 1\nb\n", "f.yaml:3:1: a key without a colon; write key: value" },
		{ "a:\n  b: 1\n c: 2", "f.yaml:3:2: this does not fit the lines above; check the indentation and the quotes" },
		{ "- a\nb: 1", "f.yaml:2:1: this does not fit the list above; check the indentation, or write \"- \"" },
		{ "a: @x", "f.yaml:1:4: a value cannot begin with this character; put it into quotes" },
		{ "a: \"\\q\"", "f.yaml:1:5: no such escape; write \\\\ for a backslash, or use single quotes" },
		{ "a: !x!y z", "f.yaml:1:4: tags (!) are not supported; take it out" },
		{ "a: \"x\" y", "f.yaml:1:8: this does not fit the lines above; check the indentation and the quotes" },
		{ "a: - b", "f.yaml:1:4: a list cannot begin here; give it a line of its own" },
		{ "[[[[[[[[[[[[[[[[[x]]]]]]]]]]]]]]]]]", "f.yaml:1:17: nested deeper than 16 levels" },
		{ "a: b\n\xc3\x28", "f.yaml:2:1: this is not UTF-8; save the file as UTF-8" },
		{ "a: \xff", "f.yaml:1:4: this is not UTF-8; save the file as UTF-8" },
		{ "a: \xc0\xaf", "f.yaml:1:4: this is not UTF-8; save the file as UTF-8" },
		{ "a: \xed\xa0\x80", "f.yaml:1:4: this is not UTF-8; save the file as UTF-8" },
		{ "a: \xe2\x82", "f.yaml:1:4: this is not UTF-8; save the file as UTF-8" },
		{ "\xff\xfe"
		  "a",
		  "f.yaml:1:1: this is UTF-16; save the file as UTF-8" },
		{ "\xfe\xff"
		  "a",
		  "f.yaml:1:1: this is UTF-16; save the file as UTF-8" },
		{ "a: \x1b[2J", "f.yaml:1:4: a control character; take it out" },
		{ "a: b # \x7f", "f.yaml:1:8: a control character; take it out" },
		{ "a: b\r\n\xc3\xa4: \x01", "f.yaml:2:4: a control character; take it out" },
		{ "a: b\xc2\x85"
		  "c: d",
		  "f.yaml:1:5: a control character; take it out" },
		{ "a: b # \xe2\x80\xa8"
		  "c: d",
		  "f.yaml:1:8: a control character; take it out" },
		{ "a: \xef\xbb\xbf", "f.yaml:1:4: a control character; take it out" },
	};
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		expect_complaints(span_text(cases[i].text), false, cases[i].expected);
	expect_complaints(SPAN("a: b\0c"), false, "f.yaml:1:5: a control character; take it out");
}

/* `unit` repeated up to n bytes. */
static struct span repeated(char *room, size_t n, const char *unit)
{
	size_t length = strlen(unit);
	for (size_t i = 0; i < n; i++)
		room[i] = unit[i % length];
	return span_of(room, n);
}

static void test_refuses_bombs_quickly(void)
{
	static const struct {
		const char *unit;
		size_t n;
		const char *expected;
	} cases[] = {
		{ "[", 128000, "f.yaml:1:17: nested deeper than 16 levels" },
		{ "[\n", 128000, "f.yaml:17:1: nested deeper than 16 levels" },
		{ "{a: ", 1000000, "f.yaml:1:65: nested deeper than 16 levels" },
		{ "- ", 1000000, "f.yaml:1:33: nested deeper than 16 levels" },
		{ "? ", 1000000, "f.yaml:1:33: nested deeper than 16 levels" },
		{ "- x\n", 1000000, "f.yaml:4097:3: more than 4096 entries in one map or list" },
		{ "a:\n", 999999, "f.yaml:4097:1: more than 4096 entries in one map or list" },
		{ "#", 1048577, "f.yaml: larger than 1 MiB" },
	};
	CLEANUP(free) char *room = malloc(YAML_MAX_BYTES + 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(room);
	clock_t begun = clock();
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		expect_complaints(repeated(room, cases[i].n, cases[i].unit), false, cases[i].expected);
	/* CPU time, sanitizers included; without the bounds it takes minutes */
	CU_ASSERT_TRUE(clock() - begun < 10 * CLOCKS_PER_SEC);
}

static void test_merge(void)
{
	CLEANUP(complaints_finish) struct complaints complaints = COMPLAINTS_INIT;
	CLEANUP(yaml_node_destroy) struct yaml_node *into = expect_tree("a: {x: 1, list: [1]}\nb: 1\nc: {}");
	CLEANUP(yaml_node_destroy) struct yaml_node *from = expect_tree("d: {z: 1}\na: {y: 2, x: 3, list: [2]}\nc: text");
	complaints_expect_file(&complaints, file.name);
	CU_ASSERT_EQUAL(yaml_merge(into, from, &complaints), 0);
	CU_ASSERT_EQUAL_FATAL(complaints.n, 3);
	CU_ASSERT_STRING_EQUAL(complaints.items[0].text,
						   "f.yaml:2:11: this key is in f.yaml:1:5 already; keep one of them");
	CU_ASSERT_STRING_EQUAL(complaints.items[1].text,
						   "f.yaml:2:17: this key is in f.yaml:1:11 already; keep one of them");
	CU_ASSERT_STRING_EQUAL(complaints.items[2].text, "f.yaml:3:1: this key is in f.yaml:3:1 already; keep one of them");
	CU_ASSERT_STRING_EQUAL(yaml_get(yaml_get(into, "d"), "z")->text, "1");
	CU_ASSERT_STRING_EQUAL(yaml_get(yaml_get(into, "a"), "y")->text, "2");
	CU_ASSERT_STRING_EQUAL(yaml_get(yaml_get(into, "a"), "x")->text, "1");
}

UNIT_MAIN({ "a tree with places", test_tree }, { "nothing is a kind of its own", test_kinds_of_nothing },
		  { "line ends of DOS and a mark in front", test_line_ends_and_mark },
		  { "sixteen levels", test_sixteen_levels }, { "two trees become one", test_merge },
		  { "the fine points of YAML are refused", test_refuses_fine_points_of_yaml },
		  { "broken YAML is refused in plain words", test_refuses_broken_yaml },
		  { "bombs are refused quickly", test_refuses_bombs_quickly })
