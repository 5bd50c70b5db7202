//go:build !race

package zitadeltest_test

// largeOrganizations is how many organizations of a hundred users a large instance has.
const largeOrganizations = 1_000
