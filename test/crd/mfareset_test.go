package crd

var mfaReset = contract{
	kind:     "MFAReset",
	least:    `{userRef: {name: ann}, factors: [TOTP], reason: lost phone, requestedBy: carol}`,
	defaults: `{revokeSessions: All}`,
	fields: []field{
		{path: "userRef", required: true, accept: list{object{"name": "ann"}}, refuse: list{object{}, "ann", list{}}},
		{path: "userRef.name", required: true, accept: list{"a", letters(253)}, refuse: list{"", letters(254), 1}},
		{path: "factors", required: true, accept: append(each("All", "WebAuthn", "TOTP", "RecoveryCodes", "Email", "SMS"), list{"WebAuthn", "TOTP", "RecoveryCodes", "Email", "SMS"}),
			refuse: list{list{}, list{"TOTP", "TOTP"}, list{"U2F"}, "All", list{"WebAuthn", "TOTP", "RecoveryCodes", "Email", "SMS", "All"}}},
		{path: "revokeSessions", accept: list{"All", "None"}, refuse: not("Some", true)},
		{path: "reason", required: true, accept: list{"r", letters(1000)}, refuse: list{"", letters(1001), 1}},
		{path: "requestedBy", required: true, accept: list{"c", letters(200)}, refuse: list{"", letters(201), 1}},
		number("deleteAfterHours", 1, 8760),
	},
	others: []refusal{
		{spec: `{factors: [All, TOTP]}`, at: "spec.factors", says: "All goes alone", why: "all of them, and one more"},
		{name: letters(64), says: "metadata.name of an MFAReset must have at most 63 characters", why: "the name is noted at the user"},
	},
	changes: []change{
		{to: `{factors: [All]}`, at: "spec", says: "a reset cannot be changed", why: "more than was asked for"},
		{to: `{userRef: {name: bob}}`, at: "spec", says: "a reset cannot be changed", why: "somebody else's"},
	},
}
