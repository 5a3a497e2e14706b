/* SPDX-License-Identifier: Apache-2.0 */
/* The files of which the operator's page is made, as part of the program: written by embed_files.cmake. */
#ifndef WEB_FILES_H
#define WEB_FILES_H

#include "base/span.h"

struct web_file {
	const char *path; /* "/operator.css" */
	const char *content_type;
	const char *etag; /* another one whenever the content is another */
	struct span content;
};

extern const struct web_file web_operator_files[]; /* the last one has no path */

#endif
