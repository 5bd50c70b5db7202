package crd

// ofZitadel is a user of Zitadel, selected by id.
const ofZitadel = `{source: Zitadel, username: null, zitadel: {connection: default, userID: "1"}}`

var mfaUser = contract{
	kind:     "MFAUser",
	least:    `{source: Local, username: ann}`,
	defaults: `{mfaEnabled: true}`,
	fields: append([]field{
		{path: "source", required: true, accept: list{"Local"}, refuse: not("SSO", "local")},
		{path: "source", required: true, with: ofZitadel, accept: list{"Zitadel"}, refuse: not("zitadel")},
		{path: "suspended", accept: list{true, false}, refuse: list{"true", 1}},
		{path: "mfaEnabled", accept: list{true, false}, refuse: list{"true", 1}},
		{path: "username", accept: list{"a", letters(200)}, refuse: list{"", letters(201), 1}},

		{path: "contact", accept: list{object{"email": "a@b"}, object{"phone": "+41791234567"}}, refuse: list{object{}, "a@b", list{}}},
		{path: "contact.email", accept: list{"a@b", "ann@example.com", letters(198) + "@b"},
			refuse: list{"", "ab", "ann", "a b@c", "@b.c", "a@b@c", letters(199) + "@b", 1}},
		{path: "contact.phone", accept: list{"+41", "+41791234567", "+123456789012345"},
			refuse: list{"", "+4", "0791234567", "+41 79 123 45 67", "+0791234567", "+1234567890123456", 1}},

		{path: "zitadel", with: `{source: Zitadel, username: null}`, accept: list{object{"connection": "c", "userID": "1"}}, refuse: list{object{}, object{"connection": "c"}, "ann", list{}}},
		{path: "zitadel.connection", required: true, with: ofZitadel, accept: list{"c", letters(63)}, refuse: list{"", letters(64), 1}},
		{path: "zitadel.userID", with: ofZitadel, accept: list{"1", letters(200)}, refuse: list{"", letters(201), 1}},
		{path: "zitadel.loginName", with: `{source: Zitadel, username: null, zitadel: {connection: default, organization: {name: acme}}}`,
			accept: list{"a", "Ann@Example.com", letters(200)}, refuse: list{"", letters(201), 1}},
		{path: "zitadel.email", with: `{source: Zitadel, username: null, zitadel: {connection: default, organization: {name: acme}}}`,
			accept: list{"a@b", letters(200)}, refuse: list{"", "ab", letters(201), 1}},
		{path: "zitadel.organization", with: `{source: Zitadel, username: null, zitadel: {connection: default, loginName: ann}}`,
			accept: one, refuse: both},
	}, organizationSelector("zitadel.organization", `{source: Zitadel, username: null, zitadel: {connection: default, loginName: ann}}`)...),

	others: []refusal{
		{spec: `{source: Zitadel, username: null}`, at: "spec.zitadel", says: "zitadel must be set for source Zitadel", why: "a user of Zitadel without any"},
		{spec: `{zitadel: {connection: default, userID: "1"}}`, at: "spec.zitadel", says: "zitadel must be set for source Zitadel, and only for it", why: "a local user who is one of Zitadel's, too"},
		{spec: `{username: null}`, at: "spec.username", says: "username must be set for source Local", why: "a local user without a name"},
		{spec: `{source: Zitadel, zitadel: {connection: default, userID: "1"}}`, at: "spec.username", says: "username must be set for source Local, and only for it", why: "Zitadel has the names of its users"},
		{spec: `{source: Zitadel, username: null, zitadel: {connection: default, userID: "1"}, contact: {email: a@b}}`,
			at: "spec.contact", says: "contact is for source Local", why: "Zitadel has the addresses of its users"},
		{spec: `{source: Zitadel, username: null, zitadel: {connection: default, userID: "1"}, mfaEnabled: false}`,
			at: "spec.mfaEnabled", says: "mfaEnabled can be false for source Local only", why: "Zitadel cannot let off one user"},
		{spec: `{source: Zitadel, username: null, zitadel: {connection: default, userID: "1", loginName: ann, organization: {name: acme}}}`,
			at: "spec.zitadel", says: "exactly one of userID, loginName and email must be set", why: "two ways to select may mean two people"},
		{spec: `{source: Zitadel, username: null, zitadel: {connection: default, loginName: ann}}`,
			at: "spec.zitadel.organization", says: "organization must be set for loginName and email", why: "a name of any organization"},
		{spec: `{source: Zitadel, username: null, zitadel: {connection: default, userID: "1", organization: {name: acme}}}`,
			at: "spec.zitadel.organization", says: "organization must be set for loginName and email, and only for them", why: "an id needs no organization"},
	},
	changes: []change{
		{to: ofZitadel, at: "spec.source", says: "source cannot be changed", why: "another source is another person"},
	},
}
