package crd

var mfaExemption = contract{
	kind:     "MFAExemption",
	least:    `{userRef: {name: ann}, policyRef: {name: p}, reason: lost key, approvedBy: carol, expiresAt: "2026-12-24T18:00:00Z"}`,
	defaults: `{}`,
	fields: []field{
		{path: "userRef", accept: list{object{"name": "ann"}, object{"name": "ann", "namespace": "apps"}}, refuse: list{object{}, "ann", list{}}},
		{path: "userRef.name", required: true, accept: list{"a", letters(253)}, refuse: list{"", letters(254), 1}},
		{path: "userRef.namespace", accept: list{"n", letters(63)}, refuse: list{"", letters(64), 1}},
		{path: "selector", with: `{userRef: null}`, accept: list{object{}, object{"matchLabels": object{"team": "blue"}}}, refuse: list{"all", list{}, object{"matchLabels": "team"}}},
		{path: "policyRef", required: true, accept: list{object{"name": "p"}}, refuse: list{object{}, "p", list{}}},
		{path: "policyRef.name", required: true, accept: list{"p", letters(253)}, refuse: list{"", letters(254), 1}},
		{path: "reason", required: true, accept: list{"r", letters(1000)}, refuse: list{"", letters(1001), 1}},
		{path: "ticket", accept: list{"t", letters(200)}, refuse: list{"", letters(201), 1}},
		{path: "approvedBy", required: true, accept: list{"c", letters(200)}, refuse: list{"", letters(201), 1}},
		{path: "expiresAt", required: true, accept: list{"2026-12-24T18:00:00Z"}, refuse: list{"", "tomorrow", "2026-12-24", 90}},
	},
	others: []refusal{
		{spec: `{userRef: null}`, at: "spec", says: "exactly one of userRef and selector must be set", why: "an exemption of nobody"},
		{spec: `{selector: {}}`, at: "spec", says: "exactly one of userRef and selector must be set", why: "of one, or of all"},
	},
	changes: []change{
		{to: `{expiresAt: "2027-01-24T18:00:00Z"}`, at: "spec", says: "an exemption cannot be changed", why: "longer than was approved"},
		{to: `{policyRef: {name: another}}`, at: "spec", says: "an exemption cannot be changed", why: "another policy than was approved"},
	},
}
