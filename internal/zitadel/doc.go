// Package zitadel speaks to Zitadel in the words of internal/idp. It decides
// which calls bring an instance or an organization from what it holds to what
// is wanted, in which order, when such a change counts as done, and which of
// the four kinds of failure a refusal is. It must not know who wants it or
// why: policies, Kubernetes and users are none of its business.
//
// It is the only room that imports zitadel-go, gRPC or a protobuf.
package zitadel
