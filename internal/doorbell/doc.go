// Package doorbell has the words for both ends of the bell that Zitadel rings:
// where it hangs, which keys open it, and how a ring is signed. The manager
// hangs it up and answers, the webhook hears it. It must not know Kubernetes
// clients, nor what becomes of a ring.
package doorbell
