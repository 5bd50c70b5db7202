// Package admission decides about SecurityPolicies and ZitadelConnections before
// they are stored, where one object alone does not tell: who may target what,
// what other policies make of it, and whom it would hit. It decides from a cache
// of Kubernetes objects, has no credential of Zitadel, calls nobody, and writes
// nothing. What it lets pass, the controllers check again.
package admission
