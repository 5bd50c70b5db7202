package crd

import (
	"slices"
	"strings"
)

const oneRule = `{access: [{namespaceSelector: {}, scopes: [Organization]}]}`

var zitadelConnection = contract{
	kind:     "ZitadelConnection",
	least:    `{domain: zitadel.example.com, credentials: {type: PAT, secretRef: {namespace: neosc-system, name: zitadel, key: token}}}`,
	defaults: `{rateLimit: {requestsPerSecond: 10, burst: 20}, timeoutSeconds: 10, events: {pollSeconds: 10}}`,
	fields: append([]field{
		{path: "domain", required: true,
			accept: list{"a", "zitadel.example.com", "127.0.0.1", "Zitadel-1.EXAMPLE.com", letters(253)},
			refuse: list{"", letters(254), "https://zitadel.example.com", "zitadel.example.com:443", "zitadel.example.com/", "-a", "a-", ".a", "a b", "a\nb", "*.example.com", 1}},
		{path: "port", accept: list{1, 443, 65535}, refuse: list{0, -1, 65536, "443"}},
		{path: "insecure", accept: list{true}, refuse: list{"true", 1}},
		{path: "address", accept: list{"zitadel.zitadel.svc:8080", "127.0.0.1:1", "[::1]:443", letters(317) + ":80"},
			refuse: list{"", "zitadel.zitadel.svc", "zitadel:http", "http://zitadel:80", "a b:80", ":80", "zitadel:", "zitadel:123456", letters(318) + ":80"}},
		{path: "caBundle", accept: list{"YQ==", strings.Repeat("YWFh", 16384)}, refuse: list{"", strings.Repeat("YWFh", 16384) + "Y", "not base64", 1}},

		{path: "credentials", required: true, accept: list{object{"type": "PAT", "secretRef": object{"namespace": "n", "name": "s", "key": "k"}}}, refuse: list{object{}, "token"}},
		{path: "credentials.type", required: true, accept: list{"JWTProfile", "PAT"}, refuse: not("Basic", "pat")},
		{path: "credentials.secretRef", required: true, accept: list{object{"namespace": "n", "name": "s", "key": "k"}}, refuse: list{object{}, "zitadel"}},
		{path: "credentials.secretRef.namespace", required: true, accept: list{"n", letters(63)}, refuse: list{"", letters(64)}},
		{path: "credentials.secretRef.name", required: true, accept: list{"s", letters(253)}, refuse: list{"", letters(254)}},
		{path: "credentials.secretRef.key", required: true, accept: list{"k", letters(253)}, refuse: list{"", letters(254)}},

		{path: "rateLimit", accept: list{object{}, object{"burst": 1}}, refuse: list{10, "10/s", list{}}},
		number("rateLimit.requestsPerSecond", 1, 1000),
		number("rateLimit.burst", 1, 1000),
		number("timeoutSeconds", 1, 120),
		{path: "events", accept: list{object{}}, refuse: list{10, "10s", list{}}},
		number("events.pollSeconds", 1, 3600),
		{path: "events.webhook", accept: list{object{"enabled": true, "url": "https://a"}, object{"url": "https://a"}}, refuse: list{true, "https://a", list{}}},
		{path: "events.webhook.enabled", with: `{events: {webhook: {url: "https://a"}}}`, accept: list{true}, refuse: list{"true", 1}},
		{path: "events.webhook.url",
			accept: list{"https://a", "https://mfa.example.com", "https://mfa.example.com/", "http://127.0.0.1:8080", "https://[::1]:8443/mfa/op", "https://a/" + letters(490)},
			refuse: list{"", "mfa.example.com", "ftp://a", "https://", "https:///ring", "https://a b", "https://a?x=1", "https://a#x", "https://user:pw@a", "https://a:port", "https://a\n", "https://a/" + letters(491), 1}},

		{path: "access", accept: list{rules(1), rules(64)}, refuse: list{rules(65), object{}, "all"}},
		{path: "access[0].namespaceSelector", required: true, with: oneRule,
			accept: list{object{}, object{"matchLabels": object{"team": "a"}}, object{"matchExpressions": list{object{"key": "team", "operator": "Exists"}}}},
			refuse: list{"all", list{}, object{"matchLabels": "team"}}},
		{path: "access[0].scopes", required: true, with: oneRule,
			accept: append(each("Instance", "Organization"), list{"Instance", "Organization"}),
			refuse: list{list{}, list{"Instance", "Instance"}, list{"Instance", "Organization", "Organization"}, list{"Project"}, "Instance"}},
		{path: "access[0].organizations", with: oneRule,
			accept: list{one, organizations(256)},
			refuse: list{list{}, organizations(257), list{object{}}, list{object{"id": "1", "name": "acme"}}, "acme"}},

		{path: "discovery", accept: list{object{"namespace": "n", "organizations": one}}, refuse: list{object{}, "acme", true}},
		{path: "discovery.namespace", required: true, with: discovering, accept: list{"n", "team-a", letters(63)}, refuse: list{"", letters(64), "A", "-a", "a-", "a.b", 1}},
		{path: "discovery.organizations", required: true, with: discovering,
			accept: list{one, organizations(256)},
			refuse: list{list{}, organizations(257), list{object{}}, list{object{"id": "1", "name": "acme"}}, "acme"}},
	}, slices.Concat(
		organizationSelector("access[0].organizations[0]", oneRule),
		organizationSelector("discovery.organizations[0]", `{discovery: {namespace: team}}`),
	)...),

	others: []refusal{
		{spec: `{access: [{namespaceSelector: {}, scopes: [Instance], organizations: [{name: acme}]}]}`,
			at: "spec.access[0].organizations", says: "organizations needs the scope Organization",
			why: "whoever narrows down organizations does not mean the instance"},
		{spec: `{access: [{namespaceSelector: {}, scopes: [Organization], organizations: [{id: "1"}, {id: "1", primaryDomain: acme.example.com}]}]}`,
			at: "spec.access[0].organizations[1]", says: "exactly one of id, name and primaryDomain must be set",
			why: "the entry at fault is the one named"},
		{spec: `{events: {webhook: {enabled: true}}}`,
			at: "spec.events.webhook.url", says: "url must be set when the webhook is enabled",
			why: "a bell that leads nowhere"},
		{name: letters(64), says: "metadata.name of a ZitadelConnection must have at most 63 characters",
			why: "the name is used as a label"},
	},
}

// discovering is a discovery that is accepted.
const discovering = `{discovery: {namespace: team, organizations: [{name: acme}]}}`

func rules(n int) list {
	all := make(list, n)
	for i := range all {
		all[i] = object{"namespaceSelector": object{}, "scopes": list{"Instance"}}
	}
	return all
}

func organizations(n int) list {
	all := make(list, n)
	for i := range all {
		all[i] = object{"id": "1"}
	}
	return all
}
