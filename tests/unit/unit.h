/* SPDX-License-Identifier: Apache-2.0 */
/* A table of tests becomes a CUnit suite and an exit code: UNIT_MAIN({ "what it shows", test_it }, ...) */
#ifndef UNIT_UNIT_H
#define UNIT_UNIT_H

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <stdlib.h>

struct unit_test {
	const char *name;
	void (*run)(void);
};

static inline int unit_main(const char *suite_name, const struct unit_test *tests, size_t n)
{
	if (CU_initialize_registry() != CUE_SUCCESS)
		return EXIT_FAILURE;
	CU_pSuite suite = CU_add_suite(suite_name, NULL, NULL);
	for (size_t i = 0; suite && i < n; i++)
		if (!CU_add_test(suite, tests[i].name, tests[i].run))
			suite = NULL;
	CU_basic_set_mode(CU_BRM_VERBOSE);
	if (!suite || CU_basic_run_tests() != CUE_SUCCESS) {
		CU_cleanup_registry();
		return EXIT_FAILURE;
	}
	unsigned failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}

#define UNIT_MAIN(...)                                                   \
	int main(void)                                                       \
	{                                                                    \
		static const struct unit_test tests[] = { __VA_ARGS__ };         \
		return unit_main(__FILE__, tests, sizeof tests / sizeof *tests); \
	}

#endif
