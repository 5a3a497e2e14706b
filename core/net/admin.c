/* SPDX-License-Identifier: Apache-2.0 */
#include "net/admin.h"

#include "net/configuration.h"
#include "net/deliveries.h"
#include "net/drain.h"
#include "net/erasure.h"
#include "net/handlers.h"
#include "net/health.h"
#include "net/kept.h"
#include "net/metrics.h"
#include "net/operator_page.h"
#include "net/reload.h"
#include "net/rights.h"
#include "net/roll.h"
#include "net/send.h"
#include "net/series.h"
#include "net/status.h"
#include "net/watch.h"

static const struct {
	const char *path;
	const struct endpoint *endpoint;
	enum rights rights;
} places[] = {
	/* these say nothing of anybody: whoever looks after the gateway's health may call it by any name */
	{ "/healthz", &healthz_endpoint, RIGHTS_NONE },
	{ "/readyz", &readyz_endpoint, RIGHTS_NONE },
	{ "/metrics", &metrics_endpoint, RIGHTS_ROLE },
	{ "/status", &status_endpoint, RIGHTS_ROLE },
	{ "/history", &series_endpoint, RIGHTS_ROLE },
	{ "/events", &kept_endpoint, RIGHTS_ROLE },
	{ "/watch", &watch_endpoint, RIGHTS_ROLE },
	{ "/deliveries", &deliveries_endpoint, RIGHTS_ROLE },
	{ "/handlers", &handlers_endpoint, RIGHTS_ROLE },
	{ "/subscribers", &roll_endpoint, RIGHTS_ROLE },
	{ "/configuration", &configuration_endpoint, RIGHTS_ROLE },
	{ "/replay", &replay_endpoint, RIGHTS_ROLE },
	{ "/send", &send_endpoint, RIGHTS_ROLE },
	{ "/reload", &reload_endpoint, RIGHTS_ROLE },
	{ "/drain", &drain_endpoint, RIGHTS_ROLE },
	{ "/journal/erase", &erasure_endpoint, RIGHTS_ROLE },
};

static const struct endpoint *find(const struct http_request *request, enum rights *ret_rights)
{
	for (size_t i = 0; i < ARRAY_LENGTH(places); i++)
		if (span_equal(request->path, span_text(places[i].path))) {
			*ret_rights = places[i].rights;
			return places[i].endpoint;
		}
	*ret_rights = RIGHTS_ANYBODY;
	return operator_page_find(request);
}

const struct endpoint *admin_find(const struct connection *connection, const struct http_request *request)
{
	enum rights rights;
	const struct endpoint *endpoint = find(request, &rights);
	const struct endpoint *refusal = endpoint ? rights_refusal(connection, request, rights) : NULL;
	return refusal ? refusal : endpoint;
}
