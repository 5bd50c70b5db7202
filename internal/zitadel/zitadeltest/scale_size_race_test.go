//go:build race

package zitadeltest_test

// largeOrganizations is smaller under the race detector: growth shows as well, and nobody waits.
const largeOrganizations = 50
