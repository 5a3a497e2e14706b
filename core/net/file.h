/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that are part of the program. A browser keeps them, but asks each time whether it still has the same, as
 * another version of the gateway brings others.
 */
#ifndef NET_FILE_H
#define NET_FILE_H

#include "net/connection.h"
#include "web/files.h"

#define FILE_CACHE_CONTROL "Cache-Control: no-cache\r\n"

/* Sends it, or says that it is known. `headers`: of either answer; FILE_CACHE_CONTROL is among them. */
void file_answer(struct exchange *exchange, const struct http_request *request, const struct web_file *file,
				 const char *headers);

#endif
