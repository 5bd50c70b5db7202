// Package zitadelevents hears the doorbells that Zitadel rings. It decides
// whether a call is Zitadel's, and passes on that it came, and nothing of it:
// what happened is in the event log, which the manager reads. It must not know
// policies, events or credentials.
package zitadelevents
