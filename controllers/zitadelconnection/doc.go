// Package zitadelconnection keeps the clients of Zitadel instances in agreement
// with ZitadelConnection objects and their Secrets: it proves a credential
// before it is used, and reports who we are there and for how long.
//
// It also listens: follower.go reads each instance's event log and tells the
// listeners, census.go counts an instance's users from it. What an event means
// for a policy is for the listener to know.
package zitadelconnection
