// Package kube holds the few Kubernetes habits all reconcilers share: the
// finalizer, the status write, the pace of retries, the words for a failed call
// to an identity provider. It knows no kind of ours.
package kube
