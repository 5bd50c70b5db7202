// Package kube holds the few Kubernetes habits that are shared: by all
// reconcilers the finalizer, the status write, the pace of retries, the words for
// a failed call to an identity provider; by adapters that keep keys the Secret
// that replicas share. It knows no kind of ours.
package kube
