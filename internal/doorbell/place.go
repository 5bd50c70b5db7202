package doorbell

import "strings"

// Name names the Secret with the keys, which the manager writes and the webhook
// reads, and the Lease with the rings, the other way round. Both are in the
// operator's namespace and come with its installation: who may write a Secret
// of one name need not be able to create any. Entries of the Secret, and
// annotations of the Lease below AnnotationPrefix, are named after connections.
const Name = "zitadel-doorbell"

// AnnotationPrefix is what annotations with the time of the last ring begin
// with.
const AnnotationPrefix = "ring.security.neosc.io/"

// path is what a connection's name follows.
const path = "/zitadel/v1/ring/"

// Pattern is the route of all bells; its value "connection" names the rung one.
const Pattern = path + "{connection}"

// Endpoint is the URL that Zitadel calls for a connection. base is where the
// webhook is reached, with or without a path of its own.
func Endpoint(base, connection string) string {
	return strings.TrimSuffix(base, "/") + path + connection
}
