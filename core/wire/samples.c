/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/samples.h"

const struct sample samples[] = {
	{ .name = "conferencing_assigned",
	  .summary = "a conference was made; byte for byte as in the documentation",
	  .body = "{\n"
			  "  \"notification\": {\n"
			  "    \"type\": \"event_subscription\",\n"
			  "    \"interactions\": [\n"
			  "      {\n"
			  "        \"type\": \"conferencing_assigned\"\n"
			  "      }\n"
			  "    ]\n"
			  "  },\n"
			  "  \"event\": {\n"
			  "    \"event_id\": \"qTtZdczOccgaPncGJaCiLg\",\n"
			  "    \"summary\": \"Board meeting\",\n"
			  "    \"description\": \"Discuss plans for the next quarter.\",\n"
			  "    \"start\": \"2026-04-27T15:30:00Z\",\n"
			  "    \"end\": \"2026-04-27T17:00:00Z\",\n"
			  "    \"conferencing\": {\n"
			  "      \"provider_name\": \"zoom\",\n"
			  "      \"join_url\": \"https://zoom.us/00001111-222\"\n"
			  "    }\n"
			  "  }\n"
			  "}" },
	{ .name = "conferencing_failing",
	  .summary = "the profile is missing; byte for byte as in the documentation",
	  .body = "{\n"
			  "  \"notification\": {\n"
			  "    \"type\": \"event_subscription\",\n"
			  "    \"interactions\": [\n"
			  "      {\n"
			  "        \"type\": \"conferencing_failing\",\n"
			  "        \"subtype\": \"profile_missing\"\n"
			  "      }\n"
			  "    ]\n"
			  "  },\n"
			  "  \"event\": {\n"
			  "    \"event_id\": \"qTtZdczOccgaPncGJaCiLg\",\n"
			  "    \"summary\": \"Board meeting\",\n"
			  "    \"description\": \"Discuss plans for the next quarter.\",\n"
			  "    \"start\": \"2026-04-27T15:30:00Z\",\n"
			  "    \"end\": \"2026-04-27T17:00:00Z\"\n"
			  "  }\n"
			  "}" },
	{ .name = "missing_meeting_url",
	  .summary = "the calendar gave the event no conference",
	  .body = "{\n"
			  "  \"notification\": {\n"
			  "    \"type\": \"event_subscription\",\n"
			  "    \"interactions\": [\n"
			  "      {\n"
			  "        \"type\": \"conferencing_failing\",\n"
			  "        \"subtype\": \"missing_meeting_url\"\n"
			  "      }\n"
			  "    ]\n"
			  "  },\n"
			  "  \"event\": {\n"
			  "    \"event_id\": \"qTtZdczOccgaPncGJaCiLg\",\n"
			  "    \"summary\": \"Board meeting\",\n"
			  "    \"description\": \"Discuss plans for the next quarter.\",\n"
			  "    \"start\": \"2026-04-27T15:30:00Z\",\n"
			  "    \"end\": \"2026-04-27T17:00:00Z\"\n"
			  "  }\n"
			  "}" },
	{ .name = "failing_without_subtype",
	  .summary = "the conferencing provider is down",
	  .body = "{\n"
			  "  \"notification\": {\n"
			  "    \"type\": \"event_subscription\",\n"
			  "    \"interactions\": [\n"
			  "      {\n"
			  "        \"type\": \"conferencing_failing\"\n"
			  "      }\n"
			  "    ]\n"
			  "  },\n"
			  "  \"event\": {\n"
			  "    \"event_id\": \"qTtZdczOccgaPncGJaCiLg\",\n"
			  "    \"summary\": \"Board meeting\",\n"
			  "    \"description\": \"Discuss plans for the next quarter.\",\n"
			  "    \"start\": \"2026-04-27T15:30:00Z\",\n"
			  "    \"end\": \"2026-04-27T17:00:00Z\"\n"
			  "  }\n"
			  "}" },
	{ .name = "failing_unknown_subtype",
	  .summary = "a subtype that nobody knows yet",
	  .body = "{\n"
			  "  \"notification\": {\n"
			  "    \"type\": \"event_subscription\",\n"
			  "    \"interactions\": [\n"
			  "      {\n"
			  "        \"type\": \"conferencing_failing\",\n"
			  "        \"subtype\": \"quota_exceeded\"\n"
			  "      }\n"
			  "    ]\n"
			  "  },\n"
			  "  \"event\": {\n"
			  "    \"event_id\": \"qTtZdczOccgaPncGJaCiLg\",\n"
			  "    \"summary\": \"Board meeting\",\n"
			  "    \"description\": \"Discuss plans for the next quarter.\",\n"
			  "    \"start\": \"2026-04-27T15:30:00Z\",\n"
			  "    \"end\": \"2026-04-27T17:00:00Z\"\n"
			  "  }\n"
			  "}" },
	{ .name = "conferencing_pending",
	  .summary = "failing, and conferencing still to come",
	  .body = "{\n"
			  "  \"notification\": {\n"
			  "    \"type\": \"event_subscription\",\n"
			  "    \"interactions\": [\n"
			  "      {\n"
			  "        \"type\": \"conferencing_failing\"\n"
			  "      }\n"
			  "    ]\n"
			  "  },\n"
			  "  \"event\": {\n"
			  "    \"event_id\": \"qTtZdczOccgaPncGJaCiLg\",\n"
			  "    \"summary\": \"Board meeting\",\n"
			  "    \"description\": \"Discuss plans for the next quarter.\",\n"
			  "    \"start\": \"2026-04-27T15:30:00Z\",\n"
			  "    \"end\": \"2026-04-27T17:00:00Z\",\n"
			  "    \"conferencing\": {\n"
			  "      \"pending\": true\n"
			  "    }\n"
			  "  }\n"
			  "}" },
	{ .name = "mixed_interactions",
	  .summary = "failing and assigned in one callback",
	  .body = "{\n"
			  "  \"notification\": {\n"
			  "    \"type\": \"event_subscription\",\n"
			  "    \"interactions\": [\n"
			  "      {\n"
			  "        \"type\": \"conferencing_failing\",\n"
			  "        \"subtype\": \"profile_missing\"\n"
			  "      },\n"
			  "      {\n"
			  "        \"type\": \"conferencing_assigned\"\n"
			  "      }\n"
			  "    ]\n"
			  "  },\n"
			  "  \"event\": {\n"
			  "    \"event_id\": \"qTtZdczOccgaPncGJaCiLg\",\n"
			  "    \"summary\": \"Board meeting\",\n"
			  "    \"description\": \"Discuss plans for the next quarter.\",\n"
			  "    \"start\": \"2026-04-27T15:30:00Z\",\n"
			  "    \"end\": \"2026-04-27T17:00:00Z\",\n"
			  "    \"conferencing\": {\n"
			  "      \"provider_name\": \"zoom\",\n"
			  "      \"join_url\": \"https://zoom.us/00001111-222\"\n"
			  "    }\n"
			  "  }\n"
			  "}" },
	{ .name = "no_interactions",
	  .summary = "an empty list of interactions",
	  .body = "{\n"
			  "  \"notification\": {\n"
			  "    \"type\": \"event_subscription\",\n"
			  "    \"interactions\": []\n"
			  "  },\n"
			  "  \"event\": {\n"
			  "    \"event_id\": \"qTtZdczOccgaPncGJaCiLg\",\n"
			  "    \"summary\": \"Board meeting\",\n"
			  "    \"description\": \"Discuss plans for the next quarter.\",\n"
			  "    \"start\": \"2026-04-27T15:30:00Z\",\n"
			  "    \"end\": \"2026-04-27T17:00:00Z\"\n"
			  "  }\n"
			  "}" },
	{ .name = "date_only_start",
	  .summary = "an event of whole days",
	  .body = "{\n"
			  "  \"notification\": {\n"
			  "    \"type\": \"event_subscription\",\n"
			  "    \"interactions\": [\n"
			  "      {\n"
			  "        \"type\": \"conferencing_assigned\"\n"
			  "      }\n"
			  "    ]\n"
			  "  },\n"
			  "  \"event\": {\n"
			  "    \"event_id\": \"qTtZdczOccgaPncGJaCiLg\",\n"
			  "    \"summary\": \"Board meeting\",\n"
			  "    \"description\": \"Discuss plans for the next quarter.\",\n"
			  "    \"start\": \"2026-04-27\",\n"
			  "    \"end\": \"2026-04-28\",\n"
			  "    \"conferencing\": {\n"
			  "      \"provider_name\": \"zoom\",\n"
			  "      \"join_url\": \"https://zoom.us/00001111-222\"\n"
			  "    }\n"
			  "  }\n"
			  "}" },
	{ .name = "tzid_start",
	  .summary = "times with the name of their zone",
	  .body = "{\n"
			  "  \"notification\": {\n"
			  "    \"type\": \"event_subscription\",\n"
			  "    \"interactions\": [\n"
			  "      {\n"
			  "        \"type\": \"conferencing_assigned\"\n"
			  "      }\n"
			  "    ]\n"
			  "  },\n"
			  "  \"event\": {\n"
			  "    \"event_id\": \"qTtZdczOccgaPncGJaCiLg\",\n"
			  "    \"summary\": \"Board meeting\",\n"
			  "    \"description\": \"Discuss plans for the next quarter.\",\n"
			  "    \"start\": {\n"
			  "      \"time\": \"2026-04-27T15:30:00Z\",\n"
			  "      \"tzid\": \"Europe/London\"\n"
			  "    },\n"
			  "    \"end\": {\n"
			  "      \"time\": \"2026-04-27T17:00:00Z\",\n"
			  "      \"tzid\": \"Europe/London\"\n"
			  "    },\n"
			  "    \"conferencing\": {\n"
			  "      \"provider_name\": \"zoom\",\n"
			  "      \"join_url\": \"https://zoom.us/00001111-222\"\n"
			  "    }\n"
			  "  }\n"
			  "}" },
	{ .name = "meeting_agent_activated",
	  .summary = "the meeting agent has joined",
	  .body = "{\n"
			  "  \"notification\": {\n"
			  "    \"type\": \"event_subscription\",\n"
			  "    \"interactions\": [\n"
			  "      {\n"
			  "        \"type\": \"meeting_agent_activated\"\n"
			  "      }\n"
			  "    ]\n"
			  "  },\n"
			  "  \"event\": {\n"
			  "    \"event_id\": \"qTtZdczOccgaPncGJaCiLg\",\n"
			  "    \"summary\": \"Board meeting\",\n"
			  "    \"description\": \"Discuss plans for the next quarter.\",\n"
			  "    \"start\": \"2026-04-27T15:30:00Z\",\n"
			  "    \"end\": \"2026-04-27T17:00:00Z\",\n"
			  "    \"conferencing\": {\n"
			  "      \"provider_name\": \"zoom\",\n"
			  "      \"join_url\": \"https://zoom.us/00001111-222\"\n"
			  "    }\n"
			  "  },\n"
			  "  \"meeting_agent\": {\n"
			  "    \"meeting_agent_id\": \"mag_5f1e2d3c4b5a697887766554\",\n"
			  "    \"status\": \"activated\"\n"
			  "  }\n"
			  "}" },
	{ .name = "meeting_agent_complete",
	  .summary = "the meeting agent is done",
	  .body = "{\n"
			  "  \"notification\": {\n"
			  "    \"type\": \"event_subscription\",\n"
			  "    \"interactions\": [\n"
			  "      {\n"
			  "        \"type\": \"meeting_agent_complete\"\n"
			  "      }\n"
			  "    ]\n"
			  "  },\n"
			  "  \"event\": {\n"
			  "    \"event_id\": \"qTtZdczOccgaPncGJaCiLg\",\n"
			  "    \"summary\": \"Board meeting\",\n"
			  "    \"description\": \"Discuss plans for the next quarter.\",\n"
			  "    \"start\": \"2026-04-27T15:30:00Z\",\n"
			  "    \"end\": \"2026-04-27T17:00:00Z\",\n"
			  "    \"conferencing\": {\n"
			  "      \"provider_name\": \"zoom\",\n"
			  "      \"join_url\": \"https://zoom.us/00001111-222\"\n"
			  "    }\n"
			  "  },\n"
			  "  \"meeting_agent\": {\n"
			  "    \"meeting_agent_id\": \"mag_5f1e2d3c4b5a697887766554\",\n"
			  "    \"status\": \"complete\"\n"
			  "  }\n"
			  "}" },
	{ .name = "meeting_agent_failed",
	  .summary = "the meeting agent could not join",
	  .body = "{\n"
			  "  \"notification\": {\n"
			  "    \"type\": \"event_subscription\",\n"
			  "    \"interactions\": [\n"
			  "      {\n"
			  "        \"type\": \"meeting_agent_failed\"\n"
			  "      }\n"
			  "    ]\n"
			  "  },\n"
			  "  \"event\": {\n"
			  "    \"event_id\": \"qTtZdczOccgaPncGJaCiLg\",\n"
			  "    \"summary\": \"Board meeting\",\n"
			  "    \"description\": \"Discuss plans for the next quarter.\",\n"
			  "    \"start\": \"2026-04-27T15:30:00Z\",\n"
			  "    \"end\": \"2026-04-27T17:00:00Z\",\n"
			  "    \"conferencing\": {\n"
			  "      \"provider_name\": \"zoom\",\n"
			  "      \"join_url\": \"https://zoom.us/00001111-222\"\n"
			  "    }\n"
			  "  },\n"
			  "  \"meeting_agent\": {\n"
			  "    \"meeting_agent_id\": \"mag_5f1e2d3c4b5a697887766554\",\n"
			  "    \"status\": \"failed\"\n"
			  "  }\n"
			  "}" },
	{ .name = "verification",
	  .summary = "the handshake of a new channel",
	  .body = "{\n"
			  "  \"notification\": {\n"
			  "    \"type\": \"verification\"\n"
			  "  },\n"
			  "  \"channel\": {\n"
			  "    \"channel_id\": \"chn_54cf7c7cb4ad4c1027000001\",\n"
			  "    \"callback_url\": \"https://example.com/notification\",\n"
			  "    \"filters\": {}\n"
			  "  }\n"
			  "}" },
	{ .name = "change",
	  .summary = "something changed in a calendar",
	  .body = "{\n"
			  "  \"notification\": {\n"
			  "    \"type\": \"change\",\n"
			  "    \"changes_since\": \"2026-04-27T09:24:16Z\"\n"
			  "  },\n"
			  "  \"channel\": {\n"
			  "    \"channel_id\": \"chn_54cf7c7cb4ad4c1027000001\",\n"
			  "    \"callback_url\": \"https://example.com/notification\",\n"
			  "    \"filters\": {}\n"
			  "  }\n"
			  "}" },
	{ .name = "profile_disconnected",
	  .summary = "a calendar profile lost its connection",
	  .body = "{\n"
			  "  \"notification\": {\n"
			  "    \"type\": \"profile_disconnected\"\n"
			  "  },\n"
			  "  \"channel\": {\n"
			  "    \"channel_id\": \"chn_54cf7c7cb4ad4c1027000001\",\n"
			  "    \"callback_url\": \"https://example.com/notification\",\n"
			  "    \"filters\": {}\n"
			  "  }\n"
			  "}" },
	{ .name = "conferencing_profile_disconnected",
	  .summary = "a conferencing profile lost its connection",
	  .body = "{\n"
			  "  \"notification\": {\n"
			  "    \"type\": \"conferencing_profile_disconnected\"\n"
			  "  },\n"
			  "  \"channel\": {\n"
			  "    \"channel_id\": \"chn_54cf7c7cb4ad4c1027000001\",\n"
			  "    \"callback_url\": \"https://example.com/notification\",\n"
			  "    \"filters\": {}\n"
			  "  }\n"
			  "}" },
	{ .name = "profile_initial_sync_completed",
	  .summary = "a profile was read for the first time",
	  .body = "{\n"
			  "  \"notification\": {\n"
			  "    \"type\": \"profile_initial_sync_completed\"\n"
			  "  },\n"
			  "  \"channel\": {\n"
			  "    \"channel_id\": \"chn_54cf7c7cb4ad4c1027000001\",\n"
			  "    \"callback_url\": \"https://example.com/notification\",\n"
			  "    \"filters\": {}\n"
			  "  }\n"
			  "}" },
	{ .name = "gdpr_requested",
	  .summary = "an account asked to be forgotten",
	  .body = "{\n"
			  "  \"notification\": {\n"
			  "    \"type\": \"gdpr_requested\"\n"
			  "  },\n"
			  "  \"channel\": {\n"
			  "    \"channel_id\": \"chn_54cf7c7cb4ad4c1027000001\",\n"
			  "    \"callback_url\": \"https://example.com/notification\",\n"
			  "    \"filters\": {}\n"
			  "  }\n"
			  "}" },
	{ .name = "smart_invite",
	  .summary = "somebody answered an invitation",
	  .body = "{\n"
			  "  \"notification\": {\n"
			  "    \"type\": \"smart_invite\"\n"
			  "  },\n"
			  "  \"smart_invite\": {\n"
			  "    \"smart_invite_id\": \"qTtZdczOccgaPncGJaCiLg\",\n"
			  "    \"callback_url\": \"https://example.com/notification\",\n"
			  "    \"recipient\": {\n"
			  "      \"email\": \"cronofy@example.com\"\n"
			  "    },\n"
			  "    \"reply\": {\n"
			  "      \"email\": \"cronofy@example.com\",\n"
			  "      \"status\": \"accepted\"\n"
			  "    }\n"
			  "  }\n"
			  "}" },
	{ .name = "scheduling_request_time_chosen",
	  .summary = "a time was chosen",
	  .body = "{\n"
			  "  \"notification\": {\n"
			  "    \"type\": \"scheduling_request_time_chosen\"\n"
			  "  },\n"
			  "  \"scheduling_request\": {\n"
			  "    \"scheduling_request_id\": \"srq_64b7992fe1e6b7a1d4c5e0f1\",\n"
			  "    \"summary\": \"Board meeting\",\n"
			  "    \"slot\": {\n"
			  "      \"start\": \"2026-04-27T15:30:00Z\",\n"
			  "      \"end\": \"2026-04-27T17:00:00Z\"\n"
			  "    }\n"
			  "  }\n"
			  "}" },
	{ .name = "scheduling_conversation_joined",
	  .summary = "somebody joined a conversation",
	  .body = "{\n"
			  "  \"notification\": {\n"
			  "    \"type\": \"scheduling_conversation_joined\"\n"
			  "  },\n"
			  "  \"scheduling_conversation\": {\n"
			  "    \"scheduling_conversation_id\": \"scv_64b7992fe1e6b7a1d4c5e0f2\",\n"
			  "    \"participants\": [\n"
			  "      {\n"
			  "        \"participant_id\": \"spt_64b7992fe1e6b7a1d4c5e0f3\",\n"
			  "        \"email\": \"cronofy@example.com\"\n"
			  "      }\n"
			  "    ]\n"
			  "  }\n"
			  "}" },
	{ .name = "scheduling_conversation_updated",
	  .summary = "a conversation went on",
	  .body = "{\n"
			  "  \"notification\": {\n"
			  "    \"type\": \"scheduling_conversation_updated\"\n"
			  "  },\n"
			  "  \"scheduling_conversation\": {\n"
			  "    \"scheduling_conversation_id\": \"scv_64b7992fe1e6b7a1d4c5e0f2\",\n"
			  "    \"participants\": [\n"
			  "      {\n"
			  "        \"participant_id\": \"spt_64b7992fe1e6b7a1d4c5e0f3\",\n"
			  "        \"email\": \"cronofy@example.com\"\n"
			  "      }\n"
			  "    ]\n"
			  "  }\n"
			  "}" },
	{ .name = "real_time_scheduling",
	  .summary = "a slot was picked; no \"notification\" in it",
	  .body = "{\n"
			  "  \"event\": {\n"
			  "    \"event_id\": \"qTtZdczOccgaPncGJaCiLg\",\n"
			  "    \"summary\": \"Board meeting\",\n"
			  "    \"description\": \"Discuss plans for the next quarter.\",\n"
			  "    \"start\": \"2026-04-27T15:30:00Z\",\n"
			  "    \"end\": \"2026-04-27T17:00:00Z\"\n"
			  "  },\n"
			  "  \"participants\": [\n"
			  "    {\n"
			  "      \"sub\": \"acc_5700a00eb0ccd07000000000\"\n"
			  "    }\n"
			  "  ],\n"
			  "  \"user\": {\n"
			  "    \"email\": \"cronofy@example.com\"\n"
			  "  }\n"
			  "}" },
	{ .name = "enterprise_connect",
	  .summary = "an authorization code; no \"notification\" in it",
	  .body = "{\n"
			  "  \"authorization\": {\n"
			  "    \"code\": \"W2fZ7ZhAxUcKFhTRmuGmNf0WQ5hEEmHh\",\n"
			  "    \"state\": \"state-1\"\n"
			  "  }\n"
			  "}" },
	{ .name = "enterprise_connect_error",
	  .summary = "an authorization that failed",
	  .body = "{\n"
			  "  \"authorization\": {\n"
			  "    \"error\": \"invalid_account\",\n"
			  "    \"error_key\": \"errors.account_locked\",\n"
			  "    \"error_description\": \"Account is locked\",\n"
			  "    \"state\": \"state-1\"\n"
			  "  }\n"
			  "}" },
	{ .name = "unknown_type",
	  .summary = "a type and keys that nobody knows yet",
	  .body = "{\n"
			  "  \"notification\": {\n"
			  "    \"type\": \"brand_new\",\n"
			  "    \"shape\": [\n"
			  "      1,\n"
			  "      2.5,\n"
			  "      {\n"
			  "        \"deep\": null\n"
			  "      }\n"
			  "    ]\n"
			  "  },\n"
			  "  \"payload\": {\n"
			  "    \"key\": true\n"
			  "  }\n"
			  "}" },
	{ .name = "awkward_text",
	  .summary = "markup, escapes and hidden characters in every text",
	  .body =
		  "{\n"
		  "  \"notification\": {\n"
		  "    \"type\": \"event_subscription\",\n"
		  "    \"interactions\": [\n"
		  "      {\n"
		  "        \"type\": \"conferencing_assigned\"\n"
		  "      }\n"
		  "    ]\n"
		  "  },\n"
		  "  \"event\": {\n"
		  "    \"event_id\": \"qTtZdczOccgaPncGJaCiLg\",\n"
		  "    \"summary\": \"\\u001b[31mred\\u0007 <!channel> & <http://evil.example|here> %n%s \\u202egnp.exe\",\n"
		  "    \"description\": \"Subject: forged\\r\\nBcc: all@example.com\\r\\n\\r\\n\\u0000 \\ud83d\\udd14 "
		  "caf\303\251\",\n"
		  "    \"start\": \"2026-04-27T15:30:00Z\",\n"
		  "    \"end\": \"2026-04-27T17:00:00Z\",\n"
		  "    \"conferencing\": {\n"
		  "      \"provider_name\": \"zoom\",\n"
		  "      \"join_url\": \"https://zoom.us/00001111-222\"\n"
		  "    }\n"
		  "  }\n"
		  "}" },
	{ .name = "malformed",
	  .summary = "authentic, but no JSON: kept as a dead letter",
	  .body = "{\"notification\": {\"type\": \"event_subscription\", \"interactions\": [" },
	{ 0 },
};

const struct sample *sample_find(struct span name)
{
	for (const struct sample *s = samples; s->name; s++)
		if (span_equal(span_text(s->name), name))
			return s;
	return NULL;
}

static size_t skip_blanks(struct span s, size_t at)
{
	while (at < s.n && (s.data[at] == ' ' || s.data[at] == '\t' || s.data[at] == '\r' || s.data[at] == '\n'))
		at++;
	return at;
}

/* The text between the quotes of the string that opens at `at`; data is NULL if none does, or it never ends. */
static struct span string_at(struct span s, size_t at)
{
	if (at >= s.n || s.data[at] != '"')
		return (struct span){ 0 };
	size_t end = at + 1;
	while (end < s.n && s.data[end] != '"')
		end += s.data[end] == '\\' ? 2 : 1;
	return end < s.n ? span_of(s.data + at + 1, end - at - 1) : (struct span){ 0 };
}

/* The value of the first key "event_id", as it is written; data is NULL if there is none. */
static struct span find_event_id(struct span body)
{
	for (size_t at = 0; at < body.n;) {
		struct span string = string_at(body, at);
		if (!string.data) {
			at++;
			continue;
		}
		at += string.n + 2;
		size_t colon = skip_blanks(body, at);
		if (!span_equal(string, SPAN("event_id")) || colon == body.n || body.data[colon] != ':')
			continue;
		struct span value = string_at(body, skip_blanks(body, colon + 1));
		if (value.data)
			return value;
	}
	return (struct span){ 0 };
}

static void add_member(struct span body, struct span id, struct buffer *renumbered)
{
	size_t brace = skip_blanks(body, 0);
	if (brace == body.n || body.data[brace] != '{') {
		buffer_add(renumbered, body);
		return;
	}
	size_t next = skip_blanks(body, brace + 1);
	bool is_empty = next < body.n && body.data[next] == '}';
	buffer_add(renumbered, span_of(body.data, brace + 1));
	buffer_add_printf(renumbered, "\"belfry_sample\": \"%.*s\"%s", SPAN_PRINTF(id), is_empty ? "" : ", ");
	buffer_add(renumbered, span_skip(body, brace + 1));
}

void sample_renumber(struct span body, struct span id, struct buffer *renumbered)
{
	struct span value = find_event_id(body);
	if (!value.data) {
		add_member(body, id, renumbered);
		return;
	}
	size_t start = (size_t)(value.data - body.data);
	buffer_add(renumbered, span_of(body.data, start));
	buffer_add(renumbered, id);
	buffer_add(renumbered, span_skip(body, start + value.n));
}
