/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "base/log_outlet.h"
#include "daemon/daemon.h"

#include <curl/curl.h>
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sysexits.h>

static const char usage[] =
	"belfryd receives signed callbacks, keeps them and pushes them to subscribers.\n"
	"\n"
	"usage: belfryd [--config FILE] [--version] [--help]\n"
	"\n"
	"  --config FILE  the configuration; without it /etc/belfry/belfry.yaml\n"
	"\n"
	"It runs in the foreground and logs to stderr. SIGTERM and SIGINT stop it in good order, a second\n"
	"one at once. SIGHUP has it take the configuration as it is now, or keep the old one if that is\n"
	"not valid; `belfry reload` also says why. Exit codes: 0 stopped, 1 could not start, 64 wrong\n"
	"usage, 78 wrong configuration.\n"
	"`belfry check` finds what is wrong with a configuration without starting anything.\n";

static const struct option options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'v' },
	{ 0 },
};

/* -1 to go on, else the exit code. */
static int parse_arguments(int argc, char **argv, const char **ret_path)
{
	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (c) {
		case 'c':
			*ret_path = optarg;
			break;
		case 'h':
			(void)fputs(usage, stdout);
			return EXIT_SUCCESS;
		case 'v':
			(void)puts("belfryd " BELFRY_VERSION);
			return EXIT_SUCCESS;
		default:
			(void)fputs("try belfryd --help\n", stderr);
			return EX_USAGE;
		}
	}
	if (optind == argc)
		return -1;
	(void)fprintf(stderr, "belfryd takes no argument \"%s\"; try belfryd --help\n", argv[optind]);
	return EX_USAGE;
}

static int load(const char *path, struct config **ret_config)
{
	CLEANUP(complaints_finish) struct complaints complaints = COMPLAINTS_INIT;
	int r = config_load(path, &complaints, ret_config);
	for (size_t i = 0; i < complaints.n; i++)
		(void)fprintf(stderr, "%s%s\n", complaints.items[i].is_warning ? "warning: " : "", complaints.items[i].text);
	if (complaints.n_left_out)
		(void)fprintf(stderr, "and %zu more\n", complaints.n_left_out);
	return r;
}

/* Until there is somebody who does it. */
static void block_reload(void)
{
	sigset_t set;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGHUP);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}

int main(int argc, char **argv)
{
	const char *path = "/etc/belfry/belfry.yaml";
	CLEANUP(config_destroy) struct config *config = NULL;
	int code = parse_arguments(argc, argv, &path);
	if (code >= 0)
		return code;
	block_reload();
	(void)prctl(PR_SET_DUMPABLE, 0); /* secrets are in our memory: no core, no ptrace by our own user */
	json_object_seed(0);             /* from the system's generator: nobody can make keys collide */
	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
	log_set_systemd(getenv("JOURNAL_STREAM") != NULL);
	if (load(path, &config) != CONFIG_OK)
		return EX_CONFIG;
	daemon_set_log(config);
	int r = log_outlet_start();
	if (r < 0)
		log_warning("whoever is slow to read this log slows down the gateway", LOG_ERRNO(r));
	r = daemon_run(path, STEAL(config));
	log_outlet_stop();
	curl_global_cleanup();
	return r == DAEMON_STOPPED ? EXIT_SUCCESS : r == DAEMON_E_CONFIG ? EX_CONFIG : EXIT_FAILURE;
}
