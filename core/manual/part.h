/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `belfry-manual`, which runs while Belfry is built: pages of the manual, completion for shells and a schema for
 * editors are templates (packaging/manual), in which a line @NAME@ stands for a part that is written from the very
 * tables by which the programs read command lines and configurations. So neither can say what the other does not do.
 */
#ifndef MANUAL_PART_H
#define MANUAL_PART_H

#include "base/buffer.h"

struct part {
	const char *name;
	void (*add)(struct buffer *text);
};

/* Tables of parts; the last row has no name. */
extern const struct part page_parts[], completion_parts[], schema_parts[];

/* The plugin's header as a page: its comments as text, its declarations as they stand. */
void header_add_page(struct buffer *text, struct span header);

#endif
