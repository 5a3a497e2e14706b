/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/document.h"

#include "wire/digest.h"

#include <errno.h>
#include <setjmp.h>
#include <stdalign.h>

#define FIRST_CHUNK_BYTES 8000

struct document_chunk {
	struct document_chunk *next;
	size_t n, size;
	alignas(max_align_t) char bytes[];
};

/* A document in the making. */
struct reading {
	struct document_chunk *chunks;
	jmp_buf out_of_memory;
};

/* The one that this thread is at; NULL, and jansson's memory is malloc's, all the rest of the time. */
static _Thread_local struct reading *current;

static struct document_chunk *add_chunk(struct reading *reading, size_t n)
{
	size_t size = reading->chunks ? reading->chunks->size * 2 : FIRST_CHUNK_BYTES;
	while (size < n)
		size *= 2;
	struct document_chunk *chunk = malloc(sizeof *chunk + size);
	if (!chunk)
		longjmp(reading->out_of_memory, 1);
	*chunk = (struct document_chunk){ .next = reading->chunks, .size = size };
	reading->chunks = chunk;
	return chunk;
}

static void *allocate(size_t n)
{
	if (!current)
		return malloc(n);
	n = (n + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
	struct document_chunk *chunk = current->chunks;
	if (!chunk || n > chunk->size - chunk->n)
		chunk = add_chunk(current, n);
	void *memory = chunk->bytes + chunk->n;
	chunk->n += n;
	return memory;
}

static void release(void *memory)
{
	if (!current)
		free(memory);
}

/* Before there are threads, and before jansson has any memory. */
__attribute__((constructor)) static void take_over(void)
{
	json_set_alloc_funcs(allocate, release);
}

static void free_chunks(struct document_chunk *chunk)
{
	while (chunk) {
		struct document_chunk *next = chunk->next;
		secret_wipe(chunk->bytes, chunk->n);
		free(chunk);
		chunk = next;
	}
}

/* The reading is the caller's: what is changed in it survives the jump back. */
static int load(struct reading *reading, struct span text, json_t **ret_root, json_error_t *ret_error)
{
	const size_t flags = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY;
	if (setjmp(reading->out_of_memory))
		return -ENOMEM;
	*ret_root = json_loadb(text.data ? text.data : "", text.n, flags, ret_error);
	return *ret_root ? DOCUMENT_OK : DOCUMENT_E_MALFORMED;
}

int document_read(struct span text, struct document *ret_document, json_error_t *ret_error)
{
	struct reading reading = { 0 };
	json_t *root = NULL;
	if (text.n && memchr(text.data, '\0', text.n)) { /* jansson passes over one behind a number */
		*ret_error = (json_error_t){ .text = "NUL" };
		return DOCUMENT_E_MALFORMED;
	}
	current = &reading;
	int r = load(&reading, text, &root, ret_error);
	current = NULL;
	if (r == DOCUMENT_OK)
		*ret_document = (struct document){ root, reading.chunks };
	else
		free_chunks(reading.chunks);
	return r;
}

void document_finish(struct document *document)
{
	free_chunks(document->chunks);
	*document = DOCUMENT_INIT;
}
