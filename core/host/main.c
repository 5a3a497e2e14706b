/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `belfry-handler`: hosts one plugin, in a process that can harm nobody. Started by the daemon and by `belfry`, not by
 * hand.
 *
 *     belfry-handler --describe FILE    what the plugin says about itself, as JSON; or why it is refused, exit status 1
 *     belfry-handler --check            expressions on stdin, complaints on stdout
 *     belfry-handler --serve            packets over descriptor 3
 */
#include "host/check.h"
#include "host/describe.h"
#include "host/sandbox.h"
#include "host/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#define SERVE_FD 3
#define EXIT_USAGE 2
/* For what needs no configuration. */
#define MEMORY_BYTES (UINT64_C(1) << 29)
#define DESCRIPTORS 64

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
/* A plugin's crash is to end the process as it would without a sanitizer; and looking for leaks at the end wants
 * ptrace(), which nothing here may call. */
#define SANITIZER_OPTIONS "detect_leaks=0:handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0:handle_abort=0"
const char *__asan_default_options(void);
const char *__tsan_default_options(void);
__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
	return SANITIZER_OPTIONS;
}
__attribute__((visibility("default"))) const char *__tsan_default_options(void)
{
	return SANITIZER_OPTIONS;
}
#endif

static int complain(const char *what)
{
	(void)fprintf(stderr, "belfry-handler: %s\n", what);
	return EXIT_FAILURE;
}

static int confine(const char *plugin)
{
	const char *what = "";
	struct sandbox sandbox = { .plugin = plugin, .memory_bytes = MEMORY_BYTES, .descriptors = DESCRIPTORS };
	int r = sandbox_enter(&sandbox, &what);
	if (r < 0)
		(void)fprintf(stderr, "belfry-handler: the process could not be confined: %s: %s\n", what, strerrordesc_np(-r));
	return r;
}

static int write_out(int fd, struct span text)
{
	while (text.n) {
		ssize_t n = write(fd, text.data, text.n);
		if (n < 0 && errno != EINTR)
			return complain(strerrordesc_np(errno));
		text = span_skip(text, n > 0 ? (size_t)n : 0);
	}
	return EXIT_SUCCESS;
}

/* Where what is to be said goes, once nothing that the plugin prints can get there. */
struct outlets {
	int result, complaint;
};

static int set_plugin_aside(struct outlets *ret_outlets)
{
	CLEANUP(close) int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
	ret_outlets->result = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	ret_outlets->complaint = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (nowhere < 0 || ret_outlets->result < 0 || ret_outlets->complaint < 0 || dup2(nowhere, STDOUT_FILENO) < 0 ||
		dup2(nowhere, STDERR_FILENO) < 0)
		return complain(strerrordesc_np(errno));
	return EXIT_SUCCESS;
}

static int run_describe(const char *path)
{
	struct belfry_plugin plugin;
	struct outlets outlets = { STDOUT_FILENO, STDERR_FILENO };
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
	int r = plugin_judge(path, &text);
	if (r == PLUGIN_OK && (confine(path) < 0 || set_plugin_aside(&outlets) != EXIT_SUCCESS))
		return EXIT_FAILURE;
	if (r == PLUGIN_OK)
		r = plugin_load(path, &plugin, &text);
	if (r == PLUGIN_OK)
		describe(&plugin, &text);
	else
		buffer_add_text(&text, r < 0 ? strerrordesc_np(-r) : "\n");
	if (text.failed)
		return EXIT_FAILURE;
	int status = write_out(r == PLUGIN_OK ? outlets.result : outlets.complaint, buffer_span(&text));
	return r == PLUGIN_OK ? status : EXIT_FAILURE;
}

static int read_in(struct buffer *text)
{
	while (text->n <= CHECK_MAX_BYTES && buffer_reserve(text, 65536)) {
		ssize_t n = read(STDIN_FILENO, text->data + text->n, 65536);
		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		text->n += n > 0 ? (size_t)n : 0;
	}
	return text->failed ? -ENOMEM : -EFBIG;
}

static int run_check(void)
{
	CLEANUP(buffer_finish) struct buffer request = BUFFER_INIT;
	CLEANUP(buffer_finish) struct buffer answer = BUFFER_INIT;
	int r = read_in(&request);
	if (r == 0 && confine(NULL) < 0)
		return EXIT_FAILURE;
	if (r == 0)
		r = check(buffer_span(&request), &answer);
	if (r != CHECK_OK)
		return complain(r < 0 ? strerrordesc_np(-r) : "what is to be checked is malformed");
	return write_out(STDOUT_FILENO, buffer_span(&answer));
}

int main(int argc, char **argv)
{
	bool is_describe = argc == 3 && strcmp(argv[1], "--describe") == 0;
	bool is_check = argc == 2 && strcmp(argv[1], "--check") == 0;
	bool is_serve = argc == 2 && strcmp(argv[1], "--serve") == 0;
	if (!is_describe && !is_check && !is_serve) {
		(void)complain("started by belfryd and belfry, not by hand: see \"belfry help plugin\"");
		return EXIT_USAGE;
	}
	int r = sandbox_begin(is_serve ? SERVE_FD : -1);
	if (r < 0)
		return complain(strerrordesc_np(-r));
	if (is_serve)
		return serve(SERVE_FD);
	return is_describe ? run_describe(argv[2]) : run_check();
}
