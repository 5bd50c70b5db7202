package crd

var mfaLedger = contract{
	kind:     "MFALedger",
	name:     "ledger",
	least:    `{}`,
	defaults: `{retention: {maxAgeDays: 30, maxMebibytes: 64}}`,
	fields: []field{
		{path: "retention", accept: list{object{}, object{"maxAgeDays": 1}}, refuse: list{30, "30d", list{}}},
		number("retention.maxAgeDays", 1, 3650),
		number("retention.maxMebibytes", 1, 1024),
	},
	others: []refusal{
		{name: "second", says: "a namespace has one MFALedger, named ledger", why: "writers look for it by its name"},
	},
}
