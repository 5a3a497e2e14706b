/* SPDX-License-Identifier: Apache-2.0 */
/* Files that browsers get as they are, as part of the program: written by embed_files.cmake. */
#ifndef WEB_FILES_H
#define WEB_FILES_H

#include "base/span.h"

struct web_file {
	const char *path; /* "/operator.css" */
	const char *content_type;
	const char *etag; /* another one whenever the content is another; in quotes, as HTTP has it */
	struct span content;
};

/* What the operator's page is made of, and belfry.js alone. The last one has no path. */
extern const struct web_file web_operator_files[], web_client_files[];

#endif
